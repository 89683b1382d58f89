import { nameError, OptionReader, optionError } from '../options.ts'
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
export interface CookieSettings extends Readonly<Required<Omit<CookieOptions, 'domain'>>> {
  readonly domain?: string
}

const KNOWN = ['name', 'path', 'domain', 'httpOnly', 'sameSite', 'secure', 'partitioned'] as const
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/ // a token of RFC 9110, 5.6.2
const COOKIE_PATH = /^\/[\x20-\x3a\x3c-\x7e]*$/ // RFC 6265, 4.1.1: no control character, no semicolon
const COOKIE_DOMAIN = /^\.?[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?(\.[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?)*$/

export function cookieSettings(where: string, given: unknown = {}): CookieSettings {
  const read = new OptionReader<CookieOptions>(where, given, KNOWN, { within: 'cookie' })
  const name = read.text('name', DEFAULT_COOKIE_NAME, COOKIE_NAME, A_COOKIE_NAME, nameError)
  const path = read.text('path', '/', COOKIE_PATH, 'a path that begins with a slash')
  const domain = read.text('domain', undefined, COOKIE_DOMAIN, 'a host name')
  return withSecureWhereDemanded(read, {
    ...{ name, path, ...(domain !== undefined && { domain }) },
    httpOnly: read.boolean('httpOnly', true),
    sameSite: read.oneOf('sameSite', ['lax', 'strict', 'none'], 'lax'),
    secure: read.value('secure', 'auto', isSecure, "true, false or 'auto'"),
    partitioned: read.boolean('partitioned', false),
  })
}

const A_COOKIE_NAME = "a name of letters, digits, '-' and '_', such as 'write_pin'"

function isSecure(value: unknown): value is boolean | 'auto' {
  return value === 'auto' || typeof value === 'boolean'
}

/**
 * Browsers drop a cookie in silence when its name, `SameSite=None` or `Partitioned` demands a `Secure` that is
 * not there; so it is set, or refused where the caller said that it must not be (RFC 6265bis, 4.1.3 and 5.7).
 */
function withSecureWhereDemanded(
  read: OptionReader<CookieOptions>,
  settings: CookieSettings,
): CookieSettings {
  const name = settings.name.toLowerCase()
  const isHost = name.startsWith('__host-')
  if (isHost && (settings.path !== '/' || settings.domain !== undefined)) {
    throw read.wrong('name', "without `__Host-`, or the path '/' and no domain", nameError)
  }
  const demandsSecure =
    isHost || name.startsWith('__secure-') || settings.sameSite === 'none' || settings.partitioned
  if (!demandsSecure) return settings
  if (settings.secure === false) {
    throw read.wrong('secure', "true or 'auto', as this name, sameSite or partitioned demands it")
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
