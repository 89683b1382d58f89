import { WritePinningError } from './errors.ts'
import { nearestName } from './nearest-name.ts'

/** Refuses an option that does not exist, because a typing error must not be silent. */
export function refuseUnknownOptions(
  where: string,
  options: object,
  known: readonly string[],
  elsewhere?: OptionsElsewhere,
): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    const all = known.map((each) => `\`${each}\``).join(', ')
    if (elsewhere?.names.includes(name) === true) {
      throw unknownOption(
        `${where} has no option \`${name}\`: that is an option of ${elsewhere.owner}. ${where} has ${all}.`,
      )
    }
    const meant = nearestName(name, known)
    throw unknownOption(
      `${where} has no option ${shownName(name)}; ${meant === undefined ? 'it' : `did you mean \`${meant}\`? It`} has ${all}.`,
    )
  }
}

/** The options that may have been given to the wrong one of two. */
interface OptionsElsewhere {
  readonly owner: string
  readonly names: readonly string[]
}

/** The error for an option, or a mark, that does not exist. */
export function unknownOption(message: string): WritePinningError {
  return new WritePinningError('ERR_WRITE_PINNING_UNKNOWN_OPTION', message)
}

/** A name as an error shows it: what is no word may be a value that came in the name's place. */
export function shownName(name: string): string {
  return NAME.test(name) ? `\`${name}\`` : 'of that name'
}

const NAME = /^[\w.-]{1,60}$/

/**
 * The error for an option with a wrong value. It names the value's kind and never the value itself, which
 * could be a secret or hold a password.
 */
export function optionError(
  where: string,
  name: string,
  value: unknown,
  expected: string,
): WritePinningError {
  return wrongOption(where, name, kindOf(value), expected)
}

/** The same for a choice among a few words, or a number: it shows a word, which is most likely a typing error. */
export function choiceError(
  where: string,
  name: string,
  value: unknown,
  expected: string,
): WritePinningError {
  const isWord = typeof value === 'string' && WORD.test(value)
  return wrongOption(where, name, isWord ? `'${value}'` : kindOf(value), expected)
}

const WORD = /^[\w.-]{1,20}$/

/** The same for a name, which it shows, as far as it is no longer than a name is. */
export function nameError(where: string, name: string, value: unknown, expected: string): WritePinningError {
  const isShort = typeof value === 'string' && value !== '' && value.length <= MAX_SHOWN_NAME
  return wrongOption(where, name, isShort ? JSON.stringify(value) : kindOf(value), expected)
}

const MAX_SHOWN_NAME = 40

function wrongOption(where: string, name: string, given: string, expected: string): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    `${where}: \`${name}\` must be ${expected}, and got ${given}.`,
  )
}

/** The options object itself, which a caller in JavaScript may have got wrong. */
export function optionsObject(where: string, options: unknown): object {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  throw new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    `${where} takes an object of options, and got ${kindOf(options)}.`,
  )
}

export function booleanOption(where: string, name: string, value: unknown, fallback: boolean): boolean {
  if (value === undefined) return fallback
  if (typeof value !== 'boolean') throw optionError(where, name, value, 'true or false')
  return value
}

/** A number within its bounds, in whatever unit its name says; `fallback` where it is not given. */
export function numberOption<T>(
  where: string,
  name: string,
  value: unknown,
  fallback: T,
  { min, max, expected }: NumberBounds,
): number | T {
  if (value === undefined) return fallback
  if (typeof value === 'number' && value >= min && value <= max) return value
  throw choiceError(where, name, value, expected)
}

/** The bounds of a number, both included, and how an error says them. */
export interface NumberBounds {
  readonly min: number
  readonly max: number
  readonly expected: string
}

export function functionOption<T>(where: string, name: string, value: T): T {
  if (value !== undefined && typeof value !== 'function') throw optionError(where, name, value, 'a function')
  return value
}

export function oneOfOption<const T extends string>(
  where: string,
  name: string,
  value: unknown,
  allowed: readonly T[],
  fallback: T,
  orElse = '',
): T {
  if (value === undefined) return fallback
  const found = allowed.find((each) => each === value)
  if (found !== undefined) return found
  const expected = `one of ${allowed.map((each) => `'${each}'`).join(', ')} ${orElse}`.trimEnd()
  throw choiceError(where, name, value, expected)
}

/** Names, in the form that `form` says. */
export function namesOption(where: string, name: string, value: unknown, form: string): readonly string[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) throw optionError(where, name, value, `an array of names, each as ${form}`)
  return Array.from(value, (each, index) => {
    if (typeof each === 'string' && each.trim() !== '') return each
    throw optionError(where, `${name}[${index}]`, each, `a name, as ${form}`)
  })
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (value === '') return 'an empty string'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'number') return `the number ${value}`
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'undefined') return 'undefined'
  return `${typeof value === 'object' ? 'an' : 'a'} ${typeof value}`
}
