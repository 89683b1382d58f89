import { optionError } from '../options.ts'

const MIN_SECRET_LENGTH = 32

/** The secrets that sign tokens: the first signs, all verify; none where the option is left out. */
export function secretsOption(where: string, options: { secret?: unknown }): readonly string[] {
  if (!('secret' in options)) return []
  // A secret that is there and undefined is an environment variable that is not set: unsigned pins must be a choice.
  const given = options.secret
  const all: unknown[] = Array.isArray(given) ? [...given] : [given]
  const areLong = all.every((each) => typeof each === 'string' && each.length >= MIN_SECRET_LENGTH)
  if (all.length > 0 && areLong) return all as string[]
  const what = typeof given === 'number' ? 'a number' : given // never the value
  throw optionError(
    where,
    'secret',
    what,
    `a string of ${MIN_SECRET_LENGTH} characters or more, or an array of such`,
  )
}
