import { DIALECT_OPTIONS, PINNING_OPTIONS } from '../option-names.ts'
import {
  booleanOption,
  functionOption,
  oneOfOption,
  optionError,
  optionsObject,
  refuseUnknownOptions,
} from '../options.ts'
import { type CookieOptions, type CookieSettings, cookieSettings } from './cookie-options.ts'
import { headerOption } from './header-option.ts'
import { A_PIN_STORE, isPinStore, type PinStore } from './pin-store.ts'
import { pinningSeconds } from './pinning-seconds.ts'
import { secretsOption } from './secret-option.ts'

/** The options of the request side; `Request` is the framework's request. */
export interface PinningOptions<Request> {
  /** How long a pin lasts, in seconds. Default: the environment variable `PINNING_SECONDS`, else 15. */
  pinningSeconds?: number
  /**
   * `'time'` (default): whoever has written reads from the primary for `pinningSeconds`. `'exact'`: from any node that has
   * replayed as much as was written; where that position is not known, it is a time pin.
   */
  pin?: 'time' | 'exact'
  /**
   * What pins. `'method'` (default): a write method, a `dbWrite` route, or a write that the router saw.
   * `'write'`: only a write that the router saw, `dbWrite: true`, or `markWrite()`.
   */
  pinOn?: 'method' | 'write'
  /** The methods that are no writes. Default: `['GET', 'HEAD', 'OPTIONS', 'TRACE']`. */
  readMethods?: readonly string[]
  /** The cookie that carries the pin. */
  cookie?: CookieOptions
  /**
   * Signs the pins: one string, or several (the first signs, all verify), each of 32 characters or more. Default: none, so that pins
   * are not signed. The cookie is named after the first, where `cookie.name` is not given.
   */
  secret?: string | readonly string[] | undefined
  /**
   * What a pin is worth that is well formed and not over, but whose signature is missing or wrong, where there is a `secret`.
   * `'primary'` (default): that one request reads from the primary, because it may be an honest pin, of a process without that
   * secret; it is worth no more. `'ignore'`: nothing, so that a user's own write can be missing while a secret is
   * added or changed. That is for who fears the load of forged pins more: with `'primary'` a client can have its own reads served
   * by the primary, as it can by sending a POST.
   *
   * @example
   * await app.register(writePinning, { secret: process.env.PIN_SECRET, badSignature: 'ignore' })
   */
  badSignature?: 'primary' | 'ignore'
  /** Whether this request neither honours nor sets a pin. */
  skip?: (request: Request) => boolean
  /** The name of a request and response header that carries the same token, for clients without cookies. Default: none. */
  header?: string
  /**
   * What becomes of the `Cache-Control` of a response that carries a pin. `'private'` (default): no shared cache may store it, whatever the
   * application says: `private` takes the place of `public` and `s-maxage`, and `CDN-Cache-Control`, `Surrogate-Control`,
   * `X-Accel-Expires` and their like are taken back. `'leave'`: it is left as it is, for who knows that no cache on the way
   * stores a response with a `Set-Cookie`, nor one with the `header`.
   *
   * @example
   * await app.register(writePinning, { cacheControl: 'leave' })
   */
  cacheControl?: 'private' | 'leave'
  /**
   * Whether reads never go back in time, from one to the next of the same user agent: a response then carries what its
   * reads have seen, if that is more than what the request had brought. Needs `pin: 'exact'`. Default: false.
   */
  monotonicReads?: boolean
  /**
   * Gives the key by which a request keeps to one replica, as all requests of that key do. Asked at the first read, when
   * the request is authenticated.
   */
  affinity?: (request: Request) => string | undefined
  /** Where the pins of accounts are kept, so that they follow the user to another device; goes with `account`. */
  pinStore?: PinStore
  /** Gives the account behind a request, or undefined; asked right before the handler, and when it has written. */
  account?: (request: Request) => string | undefined
}

/** The options, checked, with their defaults. */
export interface PinningSettings<Request = unknown> {
  readonly pinningSeconds: number
  readonly pin: 'time' | 'exact'
  readonly pinOn: 'method' | 'write'
  readonly readMethods: ReadonlySet<string>
  readonly cookie: CookieSettings
  /** Whether the cookie's name was given, and is used as it is. */
  readonly isCookieNamed: boolean
  readonly secrets: readonly string[]
  readonly badSignature: 'primary' | 'ignore'
  readonly skip: ((request: Request) => boolean) | undefined
  readonly header: string | undefined
  readonly cacheControl: 'private' | 'leave'
  readonly monotonicReads: boolean
  readonly affinity: ((request: Request) => string | undefined) | undefined
  readonly accounts: AccountSettings<Request> | undefined
}

/** Where the pins of accounts are kept, and whose a request is. */
export interface AccountSettings<Request> {
  readonly store: PinStore
  readonly accountOf: (request: Request) => string | undefined
}

const KNOWN: readonly (keyof PinningOptions<unknown>)[] = PINNING_OPTIONS
const OF_DIALECT = { owner: '`PrimaryReplicaDialect`', names: DIALECT_OPTIONS }
const READ_METHODS = ['GET', 'HEAD', 'OPTIONS', 'TRACE']
const METHOD = /^[A-Z][A-Z-]*$/

/**
 * Checks the options of a plugin or middleware called `where`.
 *
 * @throws {WritePinningError} for every option that is wrong or unknown.
 */
export function pinningSettings<Request>(where: string, given: unknown): PinningSettings<Request> {
  const options = optionsObject(where, given) as PinningOptions<Request>
  refuseUnknownOptions(where, options, KNOWN, OF_DIALECT)
  const pin = oneOfOption(where, 'pin', options.pin, ['time', 'exact'], 'time')
  return {
    pinningSeconds: pinningSeconds(where, options.pinningSeconds),
    pin,
    pinOn: oneOfOption(where, 'pinOn', options.pinOn, ['method', 'write'], 'method'),
    readMethods: readMethods(where, options.readMethods),
    cookie: cookieSettings(where, options.cookie),
    isCookieNamed: options.cookie?.name !== undefined,
    secrets: secretsOption(where, options),
    badSignature: oneOfOption(where, 'badSignature', options.badSignature, ['primary', 'ignore'], 'primary'),
    skip: promptOption(where, 'skip', options.skip),
    header: headerOption(where, options.header),
    cacheControl: oneOfOption(where, 'cacheControl', options.cacheControl, ['private', 'leave'], 'private'),
    monotonicReads: monotonicReads(where, options.monotonicReads, pin),
    affinity: promptOption(where, 'affinity', options.affinity),
    accounts: accountSettings(where, options),
  }
}

function readMethods(where: string, given: unknown): ReadonlySet<string> {
  if (given === undefined) return new Set(READ_METHODS)
  const isList = Array.isArray(given) && given.every((each) => typeof each === 'string' && METHOD.test(each))
  if (!isList)
    throw optionError(where, 'readMethods', given, "an array of methods in upper case, such as ['GET']")
  return new Set(given)
}

function monotonicReads(where: string, given: unknown, pin: 'time' | 'exact'): boolean {
  const isWanted = booleanOption(where, 'monotonicReads', given, false)
  if (isWanted && pin !== 'exact')
    throw optionError(where, 'monotonicReads', given, "false without `pin: 'exact'`")
  return isWanted
}

function accountSettings<Request>(
  where: string,
  { pinStore, account }: PinningOptions<Request>,
): AccountSettings<Request> | undefined {
  if (pinStore === undefined && account === undefined) return undefined
  if (!isPinStore(pinStore))
    throw optionError(where, 'pinStore', pinStore, `${A_PIN_STORE}, beside \`account\``)
  if (account === undefined) throw optionError(where, 'account', account, 'a function, beside `pinStore`')
  return { store: pinStore, accountOf: promptOption(where, 'account', account) }
}

function promptOption<T>(where: string, name: string, given: T): T {
  // A promise is no answer: the request goes on before it is there.
  if (given?.constructor?.name === 'AsyncFunction') {
    throw optionError(where, name, given, 'a function that answers at once, not an async one')
  }
  return functionOption(where, name, given)
}
