import type { PoolConfig } from 'pg'
import { lettersOf, nearestName } from '../nearest-name.ts'
import { shownName, unknownOption } from '../options.ts'
import { checkConnectionStringOfPool, checkedConnectionString, nodeError } from './connection-string.ts'
import type { PoolLike } from './pool.ts'

/** Where a node's connections may come from, in the words of an error. */
export const A_POOL =
  'a pg Pool, its configuration, a connection string, a function that gives a pool, or { name, pool }'

/**
 * Checks a configuration of `pg`. It must name a server: otherwise `pg` would silently connect to localhost.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_NODE`
 */
export function checkedPoolConfig(where: string, given: object): PoolConfig {
  if ('connectionString' in given) {
    const connectionString = checkedConnectionString(where, given.connectionString)
    refuseMisspelt(where, given)
    return { ...given, connectionString }
  }
  refuseOther(where, given)
  refuseConnection(where, given)
  refuseWithoutServer(where, given)
  refuseMisspelt(where, given)
  return given
}

/**
 * The same check for the configuration of a pool that already exists. What else it holds is not checked: that is up to
 * its owner.
 */
export function checkConfigOfPool(where: string, { options = {} }: PoolLike): void {
  if ('connectionString' in options) checkConnectionStringOfPool(where, options.connectionString)
  else {
    refuseConnection(where, options)
    refuseMissingHost(where, options)
    refuseMissingPort(where, options)
  }
}

/** Refuses a setting of `pg` that stands beside `pool`, where it has no effect. */
export function refuseSettingsOfPool(where: string, node: object, known: readonly string[]): void {
  const name = Object.keys(node).find((each) => !known.includes(each) && settingFor(each) !== undefined)
  if (name === undefined) return
  throw unknownOption(
    `${where} has no option \`${name}\`: put it in \`pool\`, as in \`{ pool: { ${settingFor(name)}: … } }\`.`,
  )
}

function settingFor(name: string): string | undefined {
  return SETTINGS.includes(name) ? name : OTHER_NAMES.get(lettersOf(name))
}

/**
 * Refuses an object in which `pg` finds nothing: a Kysely, a URL, a promise, or the configuration of something else.
 */
function refuseOther(where: string, given: object): void {
  const names = Object.keys(given)
  const prototype: unknown = Object.getPrototypeOf(given)
  // By the shape of the prototype, because the objects of a test runner come from another realm.
  if (prototype === null || Object.getPrototypeOf(prototype) === null) {
    const [name] = names
    // An empty object is fine: PGHOST, PGUSER and so on in the environment can say everything.
    if (name === undefined || names.some((each) => SETTINGS.includes(each))) return
    const meant = OTHER_NAMES.get(lettersOf(name)) ?? nearestName(name, [...SETTINGS, ...NODE_OPTIONS])
    const question = meant === undefined ? '.' : `; did you mean \`${meant}\`?`
    throw nodeError(`${where} must be ${A_POOL}, and got an object with ${shownName(name)}${question}`)
  }
  if (given instanceof URL) throw nodeError(`${where} is a URL object; give its \`href\`.`)
  // A configuration of a class of the application's has at least one of these. A Sequelize has `options`.
  if (names.some((each) => SETTINGS_OF_TARGET.includes(each))) return
  throw nodeError(`${where} must be ${A_POOL}, and got ${classOf(given)}.`)
}

function classOf(given: object): string {
  const name = String(given.constructor?.name)
  return /^\w{1,40}$/.test(name) ? `an object of the class ${name}` : 'an object of a class'
}

/**
 * Refuses a configuration that names no server, if one of its settings is a wrong name for that: it would have no
 * effect.
 */
function refuseWithoutServer(where: string, given: object): void {
  refuseMissingHost(where, given)
  refuseMissingPort(where, given)
  if ('host' in given || 'stream' in given) return
  for (const name of Object.keys(given)) {
    if (SETTINGS.includes(name)) continue
    const meant = OTHER_NAMES.get(lettersOf(name)) ?? nearestName(name, SETTINGS_OF_SERVER)
    if (meant === undefined || !SETTINGS_OF_SERVER.includes(meant)) continue
    throw nodeError(`${where}: pg has no setting ${shownName(name)}; did you mean \`${meant}\`?`)
  }
}

/**
 * For `pg`, `connection` is an object that talks to a server. Other libraries use that name for a connection string
 * or a configuration.
 */
function refuseConnection(where: string, given: object): void {
  if (!('connection' in given)) return
  const { connection } = given
  if (connection === undefined && ('host' in given || 'stream' in given)) return
  const isObject = typeof connection === 'object' && connection !== null
  if (isObject && 'on' in connection) return
  throw nodeError(
    `${where}: pg's setting \`connection\` is an object that talks to a server; did you mean ` +
      (isObject
        ? 'to give what is in it by itself, as in `{ host, user, database }`?'
        : '`connectionString`?'),
  )
}

/** Refuses a name that `pg` does not know and that is close to one of its settings: it would have no effect. */
function refuseMisspelt(where: string, given: object): void {
  const values = given as Readonly<Record<string, unknown>>
  // The application's own class of clients may read other names.
  if (values.Client !== undefined) return
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || SETTINGS.includes(name) || NOT_MISSPELT.includes(name)) continue
    const meant = misspelt(name, 'connectionString' in given)
    // If the setting that is meant is there as well, nothing is lost. The other name is then meant for other code.
    if (meant === undefined || values[meant] !== undefined) continue
    throw nodeError(
      `${where}: pg has no setting ${shownName(name)}; did you mean ` +
        (NODE_OPTIONS.includes(meant)
          ? `the option \`${meant}\` of a node, as in \`{ pool: { … }, ${meant}: … }\`?`
          : `\`${meant}\`?`),
    )
  }
}

/**
 * The setting that a name most likely stands for. With a connection string, other libraries' names for its parts are
 * not mistakes.
 */
function misspelt(name: string, hasConnectionString: boolean): string | undefined {
  const letters = lettersOf(name)
  const other = OTHER_NAMES.get(letters)
  // With a server named, these names may be meant for other code. Without one, they were refused before.
  if (other !== undefined)
    return hasConnectionString || SETTINGS_OF_SERVER.includes(other) ? undefined : other
  // Nearly every short word is close to another one.
  if (letters.length <= SHORT) return MISSPELT.find((each) => lettersOf(each) === letters)
  return nearestName(name, MISSPELT)
}

function refuseMissingHost(where: string, given: object): void {
  if (!('host' in given) || 'stream' in given) return
  const { host } = given
  if (typeof host === 'string' && host.trim() !== '') return
  throw nodeError(
    `${where} has no host: it is ${kindOf(host)}, and pg would connect to localhost without a word. ` +
      'Is the environment variable set?',
  )
}

/** `Number(process.env.PGPORT)` of an unset variable is NaN. `pg` would silently use its default port. */
function refuseMissingPort(where: string, given: object): void {
  if (!('port' in given) || !Number.isNaN(given.port)) return
  throw nodeError(
    `${where}: \`port\` is no number (NaN), and pg would connect to 5432 without a word. Is the environment variable set?`,
  )
}

function kindOf(host: unknown): string {
  if (typeof host === 'string') return 'empty'
  return host === null ? 'null' : typeof host
}

const words = (text: string): readonly string[] => text.trim().split(/\s+/)

const SETTINGS_OF_TARGET = words('host port user password database stream')
const SETTINGS_OF_SERVER = words('connectionString host')
const NODE_OPTIONS = words('pool name weight maxLagMs loadBalanced discover')
/** What `pg` 8 reads of a configuration, in its pool, client and connection. */
const SETTINGS = words(`
  connectionString host port user password database ssl sslmode sslnegotiation sslNegotiation sslcert sslkey sslrootcert
  application_name fallback_application_name client_encoding options replication statement_timeout query_timeout
  lock_timeout idle_in_transaction_session_timeout binary types parseInputDatesAsUTC keepAlive keepAliveInitialDelayMillis
  stream connection connectionTimeoutMillis enableChannelBinding scramMaxIterations pipeline max min poolSize
  idleTimeoutMillis allowExitOnIdle maxUses maxLifetimeSeconds log verify onConnect Promise Client
`)
/**
 * The names that are checked for misspelling. A word that is close to one of the other names is more likely meant for
 * other code.
 */
const MISSPELT = [
  ...SETTINGS.filter(
    (name) => !words('connection stream types log verify binary pipeline Client Promise').includes(name),
  ),
  ...NODE_OPTIONS.filter((name) => !words('pool name').includes(name)),
]
/** Names that are not taken for a misspelling: `pg.defaults` has them, but they are no settings of a configuration. */
const NOT_MISSPELT = words('rows parseInt8 connect_timeout keepalives keepalives_idle')
const SHORT = 3
/** Other libraries' names for these settings, in lower case. */
const OTHER_NAMES = new Map(
  Object.entries({
    connectionString: words('uri url dsn href connectionurl connectionuri databaseurl databaseuri'),
    host: words('hostname server address'),
    user: words('username'),
    password: words('pass passwd'),
    database: words('db dbname databasename'),
  }).flatMap(([name, others]) => others.map((other) => [other, name] as const)),
)
