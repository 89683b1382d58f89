import { WritePinningError } from '../errors.ts'

/**
 * Checks a connection string, and gives it without the blanks around it. It accepts what `pg-connection-string`
 * documents: `postgres://`, `postgresql://` and `pg://` URLs, `socket:/path`, and the path of a socket. `pg` takes
 * anything else for the name of a database on localhost, or on a host called `base`.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_NODE`. The message shows nothing of the string but its scheme.
 */
export function checkedConnectionString(where: string, given: unknown): string {
  const text = textOf(where, given)
  const fault = faultOf(text)
  if (fault !== undefined) throw wrongConnectionString(where, fault)
  return text
}

/**
 * The same check for a pool that already exists. Blanks are refused, because this package does not change the options
 * of such a pool. Any scheme is accepted, because the pool's client class may know more of them.
 */
export function checkConnectionStringOfPool(where: string, given: unknown): void {
  const text = textOf(where, given)
  if (/^ | $/.test(String(given))) throw wrongConnectionString(where, 'has blanks around it: `trim()` it')
  const fault = ANY_SCHEME.test(text) ? undefined : faultOf(text)
  if (fault !== undefined) throw wrongConnectionString(where, fault)
}

function textOf(where: string, given: unknown): string {
  if (given !== undefined && given !== null && typeof given !== 'string') {
    throw nodeError(`${where}: \`connectionString\` must be a string, and got a ${typeof given}.`)
  }
  const text = given?.trim() ?? ''
  if (text !== '') return text
  const isString = typeof given === 'string'
  throw nodeError(
    `${where} has no connection string: it is ${isString ? 'empty' : given}, and pg would connect to localhost without a word. ` +
      `Is the environment variable set${isString ? ', and no comma too many in a list' : ''}?`,
  )
}

function wrongConnectionString(where: string, fault: string): WritePinningError {
  return nodeError(`${where} must be ${A_CONNECTION_STRING}; what was given ${fault}.`)
}

export function nodeError(message: string): WritePinningError {
  return new WritePinningError('ERR_WRITE_PINNING_NODE', message)
}

const A_CONNECTION_STRING =
  "a connection string, such as 'postgres://user:password@host:5432/database', or 'socket:/path' or '/path' for a socket"

/** What is wrong with a string; undefined if nothing is. */
function faultOf(text: string): string | undefined {
  if (/^\/(?!\/)/.test(text)) return undefined
  if (/^["'`]/.test(text)) return 'begins with a quotation mark'
  if (SEVERAL.test(text)) return "holds several: `split(',')` it, and give each as a node of its own"
  if (!ACCEPTED.test(text)) return faultOfBeginning(text)
  // `pg` allows an empty host between user and path: it stands for a socket, or for the host of the environment.
  if (URL.canParse(text) || URL.canParse(text.replace('@/', '@host/'))) return undefined
  return 'is no valid URL: see that the port is a number, and that `#`, `/`, `?`, `@` and `%` are percent-encoded in the password'
}

const ANY_SCHEME = /^[a-z][\w+.-]*:\/\/./i
const ACCEPTED = /^((postgres(ql)?|pg):\/\/|socket:\/)./i
const SEVERAL = /,\s*(postgres(ql)?|pg):\/\//i

/** Shows a scheme only if it is a word before `://`. Before a colon alone there may be a user or a password. */
function faultOfBeginning(text: string): string {
  const [, own] = /^(postgres|postgresql|pg|socket):/i.exec(text) ?? []
  if (own?.toLowerCase() === 'socket') return 'has no path behind `socket:`'
  if (own !== undefined) return `has no \`//\` and host behind \`${own.toLowerCase()}:\``
  const [, other] = /^([a-z]{2,12}):\/\//.exec(text) ?? []
  if (other !== undefined) return `begins with \`${other}:\``
  if (/^jdbc:/i.test(text)) return 'begins with `jdbc:`'
  if (/\b(host|dbname|user)\s*=/.test(text)) return 'is a list of `key=value`, which pg does not read'
  return 'begins with none of these'
}
