import {
  booleanOption,
  nameError,
  oneOfOption,
  optionError,
  optionsObject,
  refuseUnknownOptions,
} from '../options.ts'
import { DEFAULT_COOKIE_NAME } from './cookie-names.ts'

/** The cookie that carries the pin. */
export interface CookieOptions {
  /**
   * Default: `'write_pin'`, or where there is a `secret`, `'write_pin_'` and three letters that its first key gives, so that two
   * applications on one host do not overwrite each other's. A name with the prefix `__Host-` or `__Secure-` is
   * sent with `Secure`.
   */
  name?: string
  /** Default: `'/'`. */
  path?: string
  /** Default: none, so that only the host that set it gets it back. */
  domain?: string
  /** Default: true. */
  httpOnly?: boolean
  /** Default: `'lax'`. `'none'` is sent with `Secure`, as browsers demand. */
  sameSite?: 'lax' | 'strict' | 'none'
  /** `'auto'` (default) follows the request's protocol. */
  secure?: boolean | 'auto'
  /** Whether the cookie is partitioned (CHIPS); it is sent with `Secure` then. Default: false. */
  partitioned?: boolean
}

/** The cookie's options, checked, with their defaults. */
export interface CookieSettings {
  readonly name: string
  readonly path: string
  readonly domain?: string
  readonly httpOnly: boolean
  readonly sameSite: 'lax' | 'strict' | 'none'
  readonly secure: boolean | 'auto'
  readonly partitioned: boolean
}

const KNOWN = ['name', 'path', 'domain', 'httpOnly', 'sameSite', 'secure', 'partitioned']
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/ // a token of RFC 9110, 5.6.2
const COOKIE_PATH = /^\/[\x20-\x3a\x3c-\x7e]*$/ // RFC 6265, 4.1.1: no control character, no semicolon
const COOKIE_DOMAIN = /^\.?[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?)*$/

export function cookieSettings(where: string, given: unknown = {}): CookieSettings {
  const options = optionsObject(`${where}: \`cookie\``, given) as CookieOptions
  refuseUnknownOptions(`${where}: \`cookie\``, options, KNOWN)
  const { name = DEFAULT_COOKIE_NAME, path = '/' } = options
  const settings: CookieSettings = {
    name: cookieName(where, name),
    path: matching(where, 'cookie.path', path, COOKIE_PATH, 'a path that begins with a slash'),
    ...(options.domain !== undefined && {
      domain: matching(where, 'cookie.domain', options.domain, COOKIE_DOMAIN, 'a host name'),
    }),
    httpOnly: booleanOption(where, 'cookie.httpOnly', options.httpOnly, true),
    sameSite: oneOfOption(where, 'cookie.sameSite', options.sameSite, ['lax', 'strict', 'none'], 'lax'),
    secure: secureOption(where, options.secure),
    partitioned: booleanOption(where, 'cookie.partitioned', options.partitioned, false),
  }
  return withSecureWhereDemanded(where, settings)
}

/**
 * Browsers drop a cookie in silence when its name, `SameSite=None` or `Partitioned` demands a `Secure` that is
 * not there; so it is set, or refused where the caller said that it must not be (RFC 6265bis, 4.1.3 and 5.7).
 */
function withSecureWhereDemanded(where: string, settings: CookieSettings): CookieSettings {
  const name = settings.name.toLowerCase()
  const isHost = name.startsWith('__host-')
  if (isHost && (settings.path !== '/' || settings.domain !== undefined)) {
    throw nameError(where, 'cookie.name', settings.name, "without `__Host-`, or the path '/' and no domain")
  }
  const demandsSecure =
    isHost || name.startsWith('__secure-') || settings.sameSite === 'none' || settings.partitioned
  if (!demandsSecure) return settings
  if (settings.secure === false) {
    throw optionError(
      where,
      'cookie.secure',
      false,
      "true or 'auto', as this name, sameSite or partitioned demands it",
    )
  }
  return { ...settings, secure: true }
}

/** What writes a cookie for the framework; it may know rules that nobody knows here. */
type Serialize = (name: string, value: string, attributes: never) => string

/**
 * Refuses what the library that will write the cookie refuses: its error would break each response after the commit.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION`
 */
export function refuseUnwritableCookie(where: string, settings: CookieSettings, serialize: Serialize): void {
  const { name, secure: _secure, ...attributes } = settings
  const accepts = (some: object) => {
    try {
      serialize(name, '1', some as never)
      return true
    } catch {
      return false
    }
  }
  if (accepts({ ...attributes, maxAge: 1, secure: true })) return
  const key = (['path', 'domain'] as const).find((each) => !accepts({ [each]: attributes[each] })) ?? 'name'
  throw optionError(where, `cookie.${key}`, settings[key], `${EXPECTED[key]} that a cookie can have`)
}

const EXPECTED = { name: 'a name', path: 'a path', domain: 'a host name' }

function secureOption(where: string, value: unknown): boolean | 'auto' {
  if (value === undefined || value === 'auto') return 'auto'
  if (typeof value === 'boolean') return value
  throw optionError(where, 'cookie.secure', value, "true, false or 'auto'")
}

function cookieName(where: string, value: unknown): string {
  if (typeof value === 'string' && COOKIE_NAME.test(value)) return value
  throw nameError(where, 'cookie.name', value, "a name of letters, digits, '-' and '_', such as 'write_pin'")
}

function matching(where: string, name: string, value: unknown, pattern: RegExp, expected: string): string {
  if (typeof value === 'string' && pattern.test(value)) return value
  throw optionError(where, name, value, expected)
}
