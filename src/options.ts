import { WritePinningError } from './errors.ts'
import { nearestName } from './nearest-name.ts'

/**
 * Reads one object of options. Each option is checked when it is read, and a wrong one is refused by its name.
 * `where` says in errors whose options these are.
 *
 * @example
 * const read = new OptionReader<QueueOptions>('openQueue()', given, ['size', 'order'])
 * return { size: read.number('size', 10, SIZE), order: read.oneOf('order', ['first', 'last'], 'first') }
 */
export class OptionReader<Options extends object> {
  readonly where: string
  /** The options as they were given, unchecked. */
  readonly given: { readonly [Name in keyof Options]?: unknown }
  readonly #within: string | undefined

  /**
   * @throws {WritePinningError} if `given` is no object, or has an option that is not in `known`, if that is given.
   */
  constructor(
    where: string,
    given: unknown,
    known?: readonly NameOf<Options>[],
    { elsewhere, within }: ReaderSettings = {},
  ) {
    const whole = within === undefined ? where : `${where}: \`${within}\``
    this.where = where
    this.given = optionsObject(whole, given)
    this.#within = within
    if (known !== undefined) refuseUnknownOptions(whole, this.given, known, elsewhere)
  }

  boolean(name: NameOf<Options>, fallback: boolean): boolean {
    return this.value(name, fallback, isBoolean, 'true or false')
  }

  /** A number within its bounds, in the unit that the option's name says. */
  number<T>(name: NameOf<Options>, fallback: T, { min, max, isWhole, expected }: NumberBounds): number | T {
    const isRight = (value: unknown): value is number =>
      typeof value === 'number' &&
      value >= min &&
      value <= max &&
      (isWhole !== true || Number.isInteger(value))
    return this.value(name, fallback, isRight, expected, choiceError)
  }

  oneOf<const Word extends string, Fallback extends Word | undefined>(
    name: NameOf<Options>,
    words: readonly Word[],
    fallback: Fallback,
  ): Word | Fallback {
    return this.value(name, fallback, isOneOf(words), oneOf(words), choiceError)
  }

  oneOfOrFunction<const Word extends string, Name extends NameOf<Options>>(
    name: Name,
    words: readonly Word[],
    fallback: Word,
  ): Word | Extract<Options[Name], AnyFunction> {
    const given = this.given[name]
    if (typeof given === 'function') return given as Extract<Options[Name], AnyFunction>
    return this.value(name, fallback, isOneOf(words), `${oneOf(words)} or a function`, choiceError)
  }

  function<Name extends NameOf<Options>>(name: Name): Options[Name] {
    const isRight = (value: unknown): value is Options[Name] => typeof value === 'function'
    return this.value(name, undefined as Options[Name], isRight, 'a function')
  }

  /** A text that `form` matches. */
  text<T>(
    name: NameOf<Options>,
    fallback: T,
    form: RegExp,
    expected: string,
    error = optionError,
  ): string | T {
    const isRight = (value: unknown): value is string => isString(value) && form.test(value)
    return this.value(name, fallback, isRight, expected, error)
  }

  /** A list of names. `form` says in errors how to write one. */
  names(name: NameOf<Options>, form: string): readonly string[] {
    const given = this.value(name, [], isArray, `an array of names, each as ${form}`)
    return Array.from(given, (each, index) => {
      if (typeof each === 'string' && each.trim() !== '') return each
      throw optionError(this.where, `${name}[${index}]`, each, `a name, as ${form}`)
    })
  }

  /** Any other option; `fallback` if it is not given. `error` decides how much of a wrong value is shown. */
  value<T, Fallback>(
    name: NameOf<Options>,
    fallback: Fallback,
    isRight: (value: unknown) => value is T,
    expected: string,
    error = optionError,
  ): T | Fallback {
    const value = this.given[name]
    if (value === undefined) return fallback
    if (isRight(value)) return value
    throw this.wrong(name, expected, error)
  }

  /** The error for an option that is wrong. */
  wrong(name: NameOf<Options>, expected: string, error = optionError): WritePinningError {
    const path = this.#within === undefined ? name : `${this.#within}.${name}`
    return error(this.where, path, this.given[name], expected)
  }
}

type NameOf<Options> = keyof Options & string
type AnyFunction = (...args: never[]) => unknown

interface ReaderSettings {
  /** Options of something else, which may have been given here by mistake. */
  readonly elsewhere?: OwnedOptions
  /** The option that holds these options, such as `cookie`. */
  readonly within?: string
}

/** The bounds of a number, both included, and how an error describes them. */
export interface NumberBounds {
  readonly min: number
  readonly max: number
  readonly isWhole?: boolean
  readonly expected: string
}

export const isString = (value: unknown) => typeof value === 'string'
const isBoolean = (value: unknown) => typeof value === 'boolean'
const isArray = (value: unknown): value is unknown[] => Array.isArray(value)

function isOneOf<Word extends string>(words: readonly Word[]) {
  return (value: unknown): value is Word => words.some((each) => each === value)
}

function oneOf(words: readonly string[]): string {
  return `one of ${words.map((each) => `'${each}'`).join(', ')}`
}

/**
 * Gives the object of options. A caller in JavaScript may have passed something else.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` if it is no object.
 */
export function optionsObject(where: string, options: unknown): object {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return options
  throw wrongOption(`${where} takes an object of options, and got ${kindOf(options)}.`)
}

/** Refuses an option that does not exist, because a typing error must not be silent. */
export function refuseUnknownOptions(
  where: string,
  options: object,
  known: readonly string[],
  elsewhere?: OwnedOptions,
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

/** The names of the options that something has. */
interface OwnedOptions {
  readonly owner: string
  readonly names: readonly string[]
}

/** The error for an option, or a mark, that does not exist. */
export function unknownOption(message: string): WritePinningError {
  return new WritePinningError('ERR_WRITE_PINNING_UNKNOWN_OPTION', message)
}

/**
 * A name as an error shows it. What does not look like a name may be a value in the wrong place, so it is not shown.
 */
export function shownName(name: string): string {
  return NAME.test(name) ? `\`${name}\`` : 'of that name'
}

const NAME = /^[\w.-]{1,60}$/

/**
 * The error for an option with a wrong value. It shows a number, `true` or `false`. Of any other value it shows the
 * kind only, because the value could be a secret or hold a password.
 */
export function optionError(
  where: string,
  name: string,
  value: unknown,
  expected: string,
): WritePinningError {
  return mustBe(where, name, kindOf(value), expected)
}

/** The same for a choice among a few words, or for a number. It shows a word, which is most likely a typing error. */
export function choiceError(
  where: string,
  name: string,
  value: unknown,
  expected: string,
): WritePinningError {
  const isWord = typeof value === 'string' && WORD.test(value)
  return mustBe(where, name, isWord ? `'${value}'` : kindOf(value), expected)
}

const WORD = /^[\w.-]{1,20}$/

/** The same for a name. It shows the value if that is as short as a name. */
export function nameError(where: string, name: string, value: unknown, expected: string): WritePinningError {
  const isShort = typeof value === 'string' && value !== '' && value.length <= MAX_SHOWN_NAME
  return mustBe(where, name, isShort ? JSON.stringify(value) : kindOf(value), expected)
}

const MAX_SHOWN_NAME = 40

function mustBe(where: string, name: string, given: string, expected: string): WritePinningError {
  return wrongOption(`${where}: \`${name}\` must be ${expected}, and got ${given}.`)
}

/** The error for an option that is wrong in another way. `message` must not show what could be a secret. */
export function wrongOption(message: string): WritePinningError {
  return new WritePinningError('ERR_WRITE_PINNING_OPTION', message)
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
