import {
  choiceError,
  functionOption,
  notSupportedYet,
  oneOfOption,
  optionError,
  optionsObject,
  refuseUnknownOptions,
} from '../options.ts'
import { type CookieOptions, type CookieSettings, cookieSettings } from './cookie-options.ts'

/** The options of the request side; `Request` is the framework's request. */
export interface PinningOptions<Request> {
  /** How long a pin lasts, in seconds. Default: the environment variable `PINNING_SECONDS`, else 15. */
  pinningSeconds?: number
  /** `'time'` (default): a pin says only until when reads must be fresh. */
  pin?: 'time'
  /**
   * What pins. `'method'` (default): a write method, a `dbWrite` route, or a write that the router saw.
   * `'write'`: only a write that the router saw, `dbWrite: true`, or `markWrite()`.
   */
  pinOn?: 'method' | 'write'
  /** The methods that are no writes. Default: `['GET', 'HEAD', 'OPTIONS', 'TRACE']`. */
  readMethods?: readonly string[]
  /** The cookie that carries the pin. */
  cookie?: CookieOptions
  /** Signs the pins: one string, or several (the first signs, all verify), each of 32 characters or more. */
  secret?: string | readonly string[]
  /** Whether this request neither honours nor sets a pin. */
  skip?: (request: Request) => boolean
}

/** The options, checked, with their defaults. */
export interface PinningSettings<Request = unknown> {
  readonly pinningSeconds: number
  readonly pinOn: 'method' | 'write'
  readonly readMethods: ReadonlySet<string>
  readonly cookie: CookieSettings
  readonly secrets: readonly string[]
  readonly skip: ((request: Request) => boolean) | undefined
}

const KNOWN = ['pinningSeconds', 'pin', 'pinOn', 'readMethods', 'cookie', 'secret', 'skip']
const NOT_YET = ['affinity', 'header']
const DEFAULT_PINNING_SECONDS = 15
const MAX_PINNING_SECONDS = 86_400
const MIN_SECRET_LENGTH = 32
const READ_METHODS = ['GET', 'HEAD', 'OPTIONS', 'TRACE']
const DIGITS = /^\d+$/
const METHOD = /^[A-Z][A-Z-]*$/

/**
 * Checks the options of a plugin or middleware called `where`.
 *
 * @throws {WritePinningError} for every option that is wrong, unknown, or not supported yet.
 */
export function pinningSettings<Request>(where: string, given: unknown): PinningSettings<Request> {
  const options = optionsObject(where, given) as PinningOptions<Request>
  for (const name of NOT_YET) if (name in options) throw notSupportedYet(where, name)
  refuseUnknownOptions(where, options, KNOWN)
  if ((options.pin as unknown) === 'exact') throw notSupportedYet(where, "pin: 'exact'")
  oneOfOption(where, 'pin', options.pin, ['time'], 'time')
  return {
    pinningSeconds: pinningSeconds(where, options.pinningSeconds),
    pinOn: oneOfOption(where, 'pinOn', options.pinOn, ['method', 'write'], 'method'),
    readMethods: readMethods(where, options.readMethods),
    cookie: cookieSettings(where, options.cookie),
    secrets: secrets(where, options),
    skip: skipOption(where, options.skip),
  }
}

function pinningSeconds(where: string, given: unknown): number {
  const fromEnvironment = process.env.PINNING_SECONDS
  if (given === undefined && fromEnvironment !== undefined && fromEnvironment !== '') {
    return wholeSeconds(
      'The environment',
      'PINNING_SECONDS',
      DIGITS.test(fromEnvironment) ? Number(fromEnvironment) : fromEnvironment,
    )
  }
  return wholeSeconds(where, 'pinningSeconds', given === undefined ? DEFAULT_PINNING_SECONDS : given)
}

function wholeSeconds(where: string, name: string, value: unknown): number {
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_PINNING_SECONDS) {
    return value as number
  }
  throw choiceError(where, name, value, `a whole number of seconds from 1 to ${MAX_PINNING_SECONDS}`)
}

function readMethods(where: string, given: unknown): ReadonlySet<string> {
  if (given === undefined) return new Set(READ_METHODS)
  const isList = Array.isArray(given) && given.every((each) => typeof each === 'string' && METHOD.test(each))
  if (!isList)
    throw optionError(where, 'readMethods', given, "an array of methods in upper case, such as ['GET']")
  return new Set(given)
}

function secrets(where: string, options: PinningOptions<never>): readonly string[] {
  if (!('secret' in options)) return []
  // A secret that is there and undefined is an environment variable that is not set: unsigned pins must be a choice.
  const given: unknown = options.secret
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

function skipOption<T>(where: string, given: T): T {
  // A promise is no answer: the request begins before it is there.
  if (given?.constructor?.name === 'AsyncFunction') {
    throw optionError(where, 'skip', given, 'a function that answers at once, not an async one')
  }
  return functionOption(where, 'skip', given)
}
