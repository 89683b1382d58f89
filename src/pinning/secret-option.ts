import { WritePinningError } from '../errors.ts'

const MIN_SECRET_LENGTH = 32
const A_SECRET = `a string of ${MIN_SECRET_LENGTH} characters or more`

/** The secrets that sign tokens: the first signs, all verify; none where the option is left out. */
export function secretsOption(where: string, options: { secret?: unknown }): readonly string[] {
  if (!('secret' in options)) return []
  const given = options.secret
  if (!Array.isArray(given)) return [oneSecret(`${where}: \`secret\``, given)]
  if (given.length === 0) {
    throw wrongSecret(
      `${where}: \`secret\` must be ${A_SECRET}, or an array of at least one such, and got an empty array.`,
    )
  }
  return Array.from(given, (each, index) => oneSecret(`${where}: \`secret[${index}]\``, each))
}

/** No error shows the value: what is too short for a secret may be one all the same. */
function oneSecret(where: string, given: unknown): string {
  // A secret that is there and undefined is an environment variable that is not set.
  if (given === undefined || given === null || given === '') {
    throw wrongSecret(
      `${where} is ${given === '' ? 'an empty string' : given}. Is the environment variable set? ` +
        'Pins that nobody signs must be a choice: leave the option out for them.',
    )
  }
  if (typeof given !== 'string') {
    const kind = typeof given
    throw wrongSecret(`${where} must be ${A_SECRET}, and got ${kind === 'object' ? 'an' : 'a'} ${kind}.`)
  }
  if (given.length < MIN_SECRET_LENGTH) {
    throw wrongSecret(`${where} must be ${A_SECRET}, and got one of ${given.length}.`)
  }
  return given
}

function wrongSecret(message: string): WritePinningError {
  return new WritePinningError('ERR_WRITE_PINNING_OPTION', message)
}
