import { OWNED_BY_CLUSTER, PINNING_OPTIONS } from '../option-names.ts'
import { OptionReader } from '../options.ts'
import { type CookieOptions, cookieSettings } from './cookie-options.ts'
import { headerOption } from './header-option.ts'
import { A_PIN_STORE, isPinStore, type PinStore } from './pin-store.ts'
import { pinningSeconds } from './pinning-seconds.ts'
import { secretsOption } from './signer.ts'

/** The options of the plugin and of the middleware. `Request` is the framework's request. */
export interface PinningOptions<Request> {
  /**
   * How long a pin lasts, in seconds: a whole number from 1 to 86,400 (a day). Default: the environment variable
   * `PINNING_SECONDS`, else 15.
   */
  pinningSeconds?: number
  /**
   * What a pin demands. `'time'` (default): after a write, reads go to the primary for `pinningSeconds`. `'exact'`:
   * they go to any node that has replayed what was written. If that position is not known, the pin is a time pin.
   */
  pin?: 'time' | 'exact'
  /**
   * What pins. `'method'` (default): a write method, a `dbWrite` route, or a write that the router saw. `'write'`:
   * only a write that the router saw, `dbWrite: true`, or `markWrite()`. With both, the reads of a write method go to
   * the primary.
   */
  pinOn?: 'method' | 'write'
  /** The methods that are not writes, in upper case. Default: `['GET', 'HEAD', 'OPTIONS', 'TRACE']`. */
  readMethods?: readonly string[]
  /** The name and the attributes of the cookie that carries the pin. Each has a default: see {@link CookieOptions}. */
  cookie?: CookieOptions
  /**
   * Signs the pins: one secret, or several (the first signs, all verify), each of 32 characters or more. Default:
   * none, so pins are not signed. Unless `cookie.name` is given, the first secret also gives the cookie a name of its
   * own.
   */
  secret?: string | readonly string[] | undefined
  /**
   * What effect a pin has if it is well formed and not over, but its signature is missing or wrong. This option
   * counts only if there is a `secret`.
   *
   * - `'primary'` (default): the reads of that one request go to the primary, and no response hands the pin on. It
   *   may be an honest pin, of a process without that secret.
   * - `'ignore'`: none. A user's own write can then be missing while a secret is added or changed. This is for a
   *   service that fears the load of forged pins more: with `'primary'`, a client can send its own reads to the
   *   primary, as it can by sending a POST.
   *
   * @example
   * await app.register(writePinning, { secret: process.env.PIN_SECRET, badSignature: 'ignore' })
   */
  badSignature?: 'primary' | 'ignore'
  /**
   * Whether this request neither honours nor sets a pin. Its reads after a write of its own still go to the primary.
   * It must answer at once: a promise counts as false. Default: none.
   */
  skip?: (request: Request) => boolean
  /**
   * The name of a request and response header that carries the same token, for clients without cookies. A name that
   * already has a meaning is refused. Default: none.
   */
  header?: string
  /**
   * What happens to the cache headers of a response that carries a pin.
   *
   * - `'private'` (default): no shared cache may store it. `private` takes the place of `public` and `s-maxage`.
   *   `CDN-Cache-Control`, `Surrogate-Control`, `X-Accel-Expires` and their like are removed.
   * - `'leave'`: they stay as they are. This is for a service whose caches never store a response with a
   *   `Set-Cookie`, nor one with the `header`.
   *
   * @example
   * await app.register(writePinning, { cacheControl: 'leave' })
   */
  cacheControl?: 'private' | 'leave'
  /**
   * Whether reads never go back in time, from one request of a user agent to the next. A response then also carries
   * the position that its reads have seen, if it is later than the one that the request brought. Needs `pin:
   * 'exact'`. Default: false.
   */
  monotonicReads?: boolean
  /**
   * Gives the key of a request, or undefined. Requests with the same key read from the same replica while it is fit.
   * It is asked at the first read, when the request is authenticated. It must answer at once: a promise counts as
   * undefined. Default: none.
   */
  affinity?: (request: Request) => string | undefined
  /**
   * Where the pins of accounts are kept, so that a pin follows a user to other devices. Goes with `account`. Default:
   * none.
   */
  pinStore?: PinStore
  /**
   * Gives the account behind a request, or undefined. Fastify asks it right before the handler. Express asks it at
   * the place where the middleware is used. Both ask again when the request has written. It must answer at once: a
   * promise counts as undefined. Goes with `pinStore`. Default: none.
   */
  account?: (request: Request) => string | undefined
}

/** The options, checked, with their defaults. */
export type PinningSettings<Request = unknown> = Readonly<ReturnType<typeof pinningSettings<Request>>>

/**
 * Checks the options of a plugin or middleware called `where`.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for an option that is wrong or unknown.
 */
export function pinningSettings<Request>(where: string, given: unknown) {
  const read: PinningReader<Request> = new OptionReader(where, given, PINNING_OPTIONS, {
    elsewhere: OWNED_BY_CLUSTER,
  })
  const pin = read.oneOf('pin', ['time', 'exact'], 'time')
  const { cookie } = read.given
  return {
    pinningSeconds: pinningSeconds(read),
    pin,
    pinOn: read.oneOf('pinOn', ['method', 'write'], 'method'),
    readMethods: readMethods(read),
    cookie: cookieSettings(where, cookie),
    /** Whether the application gave the cookie a name, which is then used as it is. */
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

/** Where the pins of accounts are kept, and the function that gives the account of a request. */
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

/**
 * Reads an option that is a function and answers at once. Refuses an async one: the request goes on before its
 * promise settles.
 */
function promptFunction<Request, Name extends 'skip' | 'affinity' | 'account'>(
  read: PinningReader<Request>,
  name: Name,
): PinningOptions<Request>[Name] {
  if (read.given[name]?.constructor?.name === 'AsyncFunction') {
    throw read.wrong(name, 'a function that answers at once, not an async one')
  }
  return read.function(name)
}
