import { OF_DIALECT, PINNING_OPTIONS } from '../option-names.ts'
import { OptionReader } from '../options.ts'
import { type CookieOptions, cookieSettings } from './cookie-options.ts'
import { headerOption } from './header-option.ts'
import { A_PIN_STORE, isPinStore, type PinStore } from './pin-store.ts'
import { pinningSeconds } from './pinning-seconds.ts'
import { secretsOption } from './signer.ts'

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
export type PinningSettings<Request = unknown> = Readonly<ReturnType<typeof pinningSettings<Request>>>

/**
 * Checks the options of a plugin or middleware called `where`.
 *
 * @throws {WritePinningError} for every option that is wrong or unknown.
 */
export function pinningSettings<Request>(where: string, given: unknown) {
  const read: PinningReader<Request> = new OptionReader(where, given, PINNING_OPTIONS, {
    elsewhere: OF_DIALECT,
  })
  const pin = read.oneOf('pin', ['time', 'exact'], 'time')
  const { cookie } = read.given
  return {
    pinningSeconds: pinningSeconds(read),
    pin,
    pinOn: read.oneOf('pinOn', ['method', 'write'], 'method'),
    readMethods: readMethods(read),
    cookie: cookieSettings(where, cookie),
    /** Whether the cookie's name was given, and is used as it is. */
    isCookieNamed: (cookie as CookieOptions | undefined)?.name !== undefined,
    secrets: secretsOption(read),
    badSignature: read.oneOf('badSignature', ['primary', 'ignore'], 'primary'),
    skip: promptFunction(read, 'skip'),
    header: headerOption(read),
    cacheControl: read.oneOf('cacheControl', ['private', 'leave'], 'private'),
    monotonicReads: monotonicReads(read, pin),
    affinity: promptFunction(read, 'affinity'),
    accounts: accountSettings(read),
  }
}

type PinningReader<Request> = OptionReader<PinningOptions<Request>>

function readMethods<Request>(read: PinningReader<Request>): ReadonlySet<string> {
  const expected = "an array of methods in upper case, such as ['GET']"
  return new Set(read.value('readMethods', READ_METHODS, areMethods, expected))
}

const READ_METHODS = ['GET', 'HEAD', 'OPTIONS', 'TRACE']
const METHOD = /^[A-Z][A-Z-]*$/

function areMethods(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string' && METHOD.test(each))
}

function monotonicReads<Request>(read: PinningReader<Request>, pin: 'time' | 'exact'): boolean {
  const isWanted = read.boolean('monotonicReads', false)
  if (isWanted && pin !== 'exact') throw read.wrong('monotonicReads', "false without `pin: 'exact'`")
  return isWanted
}

/** Where the pins of accounts are kept, and whose a request is. */
export interface AccountSettings<Request> {
  readonly store: PinStore
  readonly accountOf: (request: Request) => string | undefined
}

function accountSettings<Request>(read: PinningReader<Request>): AccountSettings<Request> | undefined {
  const { pinStore, account } = read.given
  if (pinStore === undefined && account === undefined) return undefined
  if (!isPinStore(pinStore)) throw read.wrong('pinStore', `${A_PIN_STORE}, beside \`account\``)
  const accountOf = promptFunction(read, 'account')
  if (accountOf === undefined) throw read.wrong('account', 'a function, beside `pinStore`')
  return { store: pinStore, accountOf }
}

/** A function that answers at once: a promise is no answer, because the request goes on before it is there. */
function promptFunction<Request, Name extends 'skip' | 'affinity' | 'account'>(
  read: PinningReader<Request>,
  name: Name,
): PinningOptions<Request>[Name] {
  if (read.given[name]?.constructor?.name === 'AsyncFunction') {
    throw read.wrong(name, 'a function that answers at once, not an async one')
  }
  return read.function(name)
}
