import { nameError, OptionReader, optionError } from '../options.ts'
import { DEFAULT_COOKIE_NAME } from './cookie-names.ts'

/** The cookie that carries the pin. */
export interface CookieOptions {
  /**
   * The name. Default: `'write_pin'`. With a `secret`: `'write_pin_'` and three characters that the first key gives,
   * so that two applications on one host do not overwrite each other's cookie. A name with the prefix `__Host-` or
   * `__Secure-` is sent with `Secure`.
   */
  name?: string
  /** The path under which the user agent sends it. Default: `'/'`. */
  path?: string
  /** The domain to which the user agent sends it. Default: none, so only the host that set it gets it back. */
  domain?: string
  /** Whether it is hidden from scripts. Default: true. */
  httpOnly?: boolean
  /** Which requests from other sites carry it. Default: `'lax'`. `'none'` is sent with `Secure`, as browsers demand. */
  sameSite?: 'lax' | 'strict' | 'none'
  /** Whether the user agent sends it over HTTPS only. `'auto'` (default) follows the protocol of the request. */
  secure?: boolean | 'auto'
  /** Whether the cookie is partitioned (CHIPS). It is then sent with `Secure`. Default: false. */
  partitioned?: boolean
}

/** The options of the cookie, checked, with their defaults. */
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
 * Sets `Secure` if the name, `SameSite=None` or `Partitioned` demands it, because browsers silently drop such a
 * cookie without it (RFC 6265bis, 4.1.3 and 5.7). Refuses the options if they forbid it.
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

/** The framework's function that writes a cookie. It may have rules of its own. */
type Serialize = (name: string, value: string, attributes: never) => string

/**
 * Refuses options that the library that writes the cookie would refuse. Otherwise its error would break every
 * response that pins, after the commit.
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
