import { EventEmitter } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { runInNewContext } from 'node:vm'
import { Kysely, sql } from 'kysely'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { useNode, WritePinningError } from 'write-pinning'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { openDatabase, startShop } from '../support/cluster.ts'

const URL_OF_SHOP = 'postgres://shop@127.0.0.1:1/shop'

/** What a node that is wrong ends with. */
function refusal(primary: unknown, replicas: readonly unknown[] = []): [code: string, message: string] {
  try {
    new PrimaryReplicaDialect({ primary, replicas } as never)
  } catch (error) {
    if (error instanceof WritePinningError) return [error.code, error.message]
    throw error
  }
  return ['', 'nothing was refused']
}

const NODE = 'ERR_WRITE_PINNING_NODE'
const PRIMARY = 'PrimaryReplicaDialect: `primary`'
const A_CONNECTION_STRING =
  "a connection string, such as 'postgres://user:password@host:5432/database', or 'socket:/path' or '/path' for a socket"
const A_POOL =
  'a pg Pool, its configuration, a connection string, a function that gives a pool, or { name, pool }'

describe('a string that is no connection string is refused, and not shown', () => {
  const wrong: [given: string, fault: string][] = [
    ['localhost', 'begins with none of these'],
    ['localhost:5432', 'begins with none of these'],
    ['db.example.com/hunter2', 'begins with none of these'],
    ['app:hunter2@db/shop', 'begins with none of these'],
    ['postgres//app:hunter2@db/shop', 'begins with none of these'],
    ['//app:hunter2@db/shop', 'begins with none of these'],
    ['postgres:app:hunter2@db/shop', 'has no `//` and host behind `postgres:`'],
    ['postgresql:/db/hunter2', 'has no `//` and host behind `postgresql:`'],
    ['postgres://', 'has no `//` and host behind `postgres:`'],
    ['socket:', 'has no path behind `socket:`'],
    ['mysql://app:hunter2@db/shop', 'begins with `mysql:`'],
    ['https://db.example.com', 'begins with `https:`'],
    ['hunter2://db', 'begins with none of these'],
    ['jdbc:postgresql://db/hunter2', 'begins with `jdbc:`'],
    ['host=db user=app password=hunter2', 'is a list of `key=value`, which pg does not read'],
    ['"postgres://app:hunter2@db/shop"', 'begins with a quotation mark'],
    [`${URL_OF_SHOP},${URL_OF_SHOP}`, "holds several: `split(',')` it, and give each as a node of its own"],
    [
      'postgres://app:hunt#er2@db/shop',
      'is no valid URL: see that the port is a number, and that `#`, `/`, `?`, `@` and `%` are percent-encoded in the password',
    ],
    [
      'postgres://app@db:port/hunter2',
      'is no valid URL: see that the port is a number, and that `#`, `/`, `?`, `@` and `%` are percent-encoded in the password',
    ],
  ]
  it.each(wrong)('%s', (given, fault) => {
    const refused = (where: string) => [
      NODE,
      `${where} must be ${A_CONNECTION_STRING}; what was given ${fault}.`,
    ]
    expect(refusal(given)).toEqual(refused(PRIMARY))
    expect(refusal({ name: 'main', pool: given })).toEqual(refused(PRIMARY))
    expect(refusal({ connectionString: given, max: 2 })).toEqual(refused(PRIMARY))
    expect(refusal(URL_OF_SHOP, [URL_OF_SHOP, given])).toEqual(
      refused('PrimaryReplicaDialect: `replicas[1]`'),
    )
    expect(refusal(given)[1]).not.toContain('hunt')
  })

  it('also in a pool that is made already, but for a scheme that its client may know', () => {
    const pool = (connectionString: string) => new pg.Pool({ connectionString })
    expect(refusal(pool('localhost'))[1]).toContain('begins with none of these')
    expect(refusal(pool(` ${URL_OF_SHOP}`))[1]).toContain('has blanks around it: `trim()` it.')
    expect(refusal(pool(`${URL_OF_SHOP} `))[1]).toContain('has blanks around it: `trim()` it.')
    expect(refusal(pool('redshift://app@db/shop'))[0]).toBe('')
    expect(refusal(pool(URL_OF_SHOP))[0]).toBe('')
  })
})

describe('a string that is one is taken', () => {
  it.each([
    'postgres://app:secret@db:5432/shop?sslmode=verify-full',
    'postgresql://db/shop',
    'POSTGRES://db/shop',
    'pg://db/shop',
    'postgres://[::1]:5432/shop',
    'postgres:///shop',
    'postgres://app:secret@/shop?host=/var/run/postgresql',
    'postgres://%2Fvar%2Frun%2Fpostgresql/shop',
    'postgres://app:a%23b@db/shop',
    'socket:/var/run/postgresql?db=shop',
    'socket://app:secret@/var/run/postgresql?db=shop',
    '/var/run/postgresql',
    '/var/run/postgresql shop',
    ` ${URL_OF_SHOP}\n`,
  ])('%s', (given) => {
    expect(refusal(given)).toEqual(['', 'nothing was refused'])
    expect(refusal({ connectionString: given })).toEqual(['', 'nothing was refused'])
    expect(refusal({ name: 'main', pool: given })).toEqual(['', 'nothing was refused'])
  })
})

describe('a node that is something else is refused, and what to write is said', () => {
  const kysely = new Kysely({ dialect: new PrimaryReplicaDialect({ primary: URL_OF_SHOP, replicas: [] }) })
  const wrong: [what: string, given: unknown, message: string][] = [
    [
      '{ uri }',
      { uri: URL_OF_SHOP },
      `${PRIMARY} must be ${A_POOL}, and got an object with \`uri\`; did you mean \`connectionString\`?`,
    ],
    [
      '{ url, max }',
      { url: URL_OF_SHOP, max: 2 },
      `${PRIMARY}: pg has no setting \`url\`; did you mean \`connectionString\`?`,
    ],
    [
      '{ connectionstring, max }',
      { connectionstring: URL_OF_SHOP, max: 2 },
      `${PRIMARY}: pg has no setting \`connectionstring\`; did you mean \`connectionString\`?`,
    ],
    [
      '{ hostname, user }',
      { hostname: 'db', user: 'app' },
      `${PRIMARY}: pg has no setting \`hostname\`; did you mean \`host\`?`,
    ],
    [
      '{ Pool }',
      { Pool: URL_OF_SHOP },
      `${PRIMARY} must be ${A_POOL}, and got an object with \`Pool\`; did you mean \`pool\`?`,
    ],
    [
      '{ filename }',
      { filename: ':memory:' },
      `${PRIMARY} must be ${A_POOL}, and got an object with \`filename\`.`,
    ],
    [
      '{ host: undefined }',
      { host: undefined },
      `${PRIMARY} has no host: it is undefined, and pg would connect to localhost without a word. Is the environment variable set?`,
    ],
    [
      '{ host: undefined, port }',
      { host: undefined, port: 5432 },
      `${PRIMARY} has no host: it is undefined, and pg would connect to localhost without a word. Is the environment variable set?`,
    ],
    [
      '{ host: "" }',
      { host: '' },
      `${PRIMARY} has no host: it is empty, and pg would connect to localhost without a word. Is the environment variable set?`,
    ],
    [
      'a pool of { host: undefined }',
      new pg.Pool({ host: undefined }),
      `${PRIMARY} has no host: it is undefined, and pg would connect to localhost without a word. Is the environment variable set?`,
    ],
    [
      '{ host, port: NaN }',
      { host: 'db', port: Number(undefined) },
      `${PRIMARY}: \`port\` is no number (NaN), and pg would connect to 5432 without a word. Is the environment variable set?`,
    ],
    ['a Kysely', kysely, `${PRIMARY} must be ${A_POOL}, and got an object of the class Kysely.`],
    [
      'a promise of a pool',
      Promise.resolve(new pg.Pool()),
      `${PRIMARY} must be ${A_POOL}, and got an object of the class Promise.`,
    ],
    ['a URL object', new URL(URL_OF_SHOP), `${PRIMARY} is a URL object; give its \`href\`.`],
    [
      'a string that is an empty element',
      { pool: ' ' },
      `${PRIMARY} has no connection string: it is empty, and pg would connect to localhost without a word. Is the environment variable set, and no comma too many in a list?`,
    ],
    [
      'a connection string that is a number',
      { connectionString: 5432 },
      `${PRIMARY}: \`connectionString\` must be a string, and got a number.`,
    ],
  ]
  it.each(wrong)('%s', (_what, given, message) => {
    expect(refusal(given)).toEqual([NODE, message])
    // As the pool of a node with a name it is the same mistake.
    if (!(given instanceof Object && 'pool' in given))
      expect(refusal({ name: 'main', pool: given })).toEqual([NODE, message])
  })

  const NO_CONNECTION = `${PRIMARY}: pg's setting \`connection\` is an object that talks to a server; did you mean \`connectionString\`?`
  it.each([
    ['a connection string', { connection: URL_OF_SHOP }, NO_CONNECTION],
    ['one beside other settings', { connection: URL_OF_SHOP, max: 2 }, NO_CONNECTION],
    ['one that is not there', { connection: undefined }, NO_CONNECTION],
    [
      "a configuration, as in Knex's",
      { client: 'pg', connection: { host: 'db', user: 'app' } },
      `${PRIMARY}: pg's setting \`connection\` is an object that talks to a server; did you mean to give what is in it by itself, as in \`{ host, user, database }\`?`,
    ],
    ['a connection string in a pool', new pg.Pool({ connection: URL_OF_SHOP } as object), NO_CONNECTION],
  ])('`connection` that is %s', (_what, given, message) => {
    expect(refusal(given)).toEqual([NODE, message])
  })

  const at = { host: 'db', port: 5432, user: 'app', password: 'secret', database: 'shop' }
  it.each<[name: string, given: object, meant: string]>([
    ['conectionString', { conectionString: URL_OF_SHOP, max: 2 }, 'connectionString'],
    ['connectionUri', { connectionUri: URL_OF_SHOP, max: 2 }, 'connectionString'],
    ['username', { host: 'db', username: 'app' }, 'user'],
    ['pasword', { connectionString: URL_OF_SHOP, pasword: 'secret' }, 'password'],
    ['pass', { host: 'db', pass: 'secret' }, 'password'],
    ['dbname', { host: 'db', dbname: 'shop' }, 'database'],
    ['statementTimeout', { ...at, statementTimeout: 100 }, 'statement_timeout'],
    ['applicationName', { ...at, applicationName: 'shop' }, 'application_name'],
    ['idleTimeoutMilis', { connectionString: URL_OF_SHOP, idleTimeoutMilis: 5 }, 'idleTimeoutMillis'],
    ['SSL', { ...at, SSL: true }, 'ssl'],
    ['prot', { host: 'db', prot: 6432 }, 'port'],
  ])('a setting that is misspelt, and would be lost: %s', (name, given, meant) => {
    const message = `${PRIMARY}: pg has no setting \`${name}\`; did you mean \`${meant}\`?`
    expect(refusal(given)).toEqual([NODE, message])
    expect(refusal({ name: 'main', pool: given })).toEqual([NODE, message])
  })

  it('an option of a node that is misspelt in the configuration of a pool', () => {
    expect(refusal(URL_OF_SHOP, [{ ...at, wieght: 2 }])).toEqual([
      NODE,
      'PrimaryReplicaDialect: `replicas[0]`: pg has no setting `wieght`; did you mean the option `weight` of a node, as in `{ pool: { … }, weight: … }`?',
    ])
  })

  it.each([
    [
      '{ name, connectionString }',
      { name: 'main', connectionString: URL_OF_SHOP },
      'connectionString',
      'connectionString',
    ],
    ['{ name, url }', { name: 'main', url: URL_OF_SHOP }, 'url', 'connectionString'],
    ['{ pool, max }', { pool: URL_OF_SHOP, max: 2 }, 'max', 'max'],
  ])('%s, whose setting belongs in `pool`', (_what, given, name, setting) => {
    expect(refusal(given)).toEqual([
      'ERR_WRITE_PINNING_UNKNOWN_OPTION',
      `${PRIMARY} has no option \`${name}\`: put it in \`pool\`, as in \`{ pool: { ${setting}: … } }\`.`,
    ])
  })

  it('an option of a node that stands in the configuration of a pool is not lost', () => {
    expect(refusal(URL_OF_SHOP, [{ connectionString: URL_OF_SHOP, weight: 2 }])).toEqual([
      'ERR_WRITE_PINNING_UNKNOWN_OPTION',
      'PrimaryReplicaDialect: `replicas[0]` has no option `connectionString`: put it in `pool`, as in `{ pool: { connectionString: … } }`.',
    ])
  })
})

describe('a configuration is taken', () => {
  class Settings {
    host = 'db'
  }
  it.each<[string, unknown]>([
    ['that leaves all to the environment', {}],
    ['that leaves its server to the environment', { max: 2, database: 'shop' }],
    ['of a class', new Settings()],
    ['of another realm', runInNewContext('({ max: 2 })')],
    ['of no class', Object.assign(Object.create(null), { max: 2 })],
    ['without a host, but with a socket of its own', { stream: () => undefined, host: undefined }],
    [
      'with what a client class of its own may read',
      { host: 'db', Client: pg.Client, url: 'x', region: 'eu', username: 'app', statementTimeout: 1 },
    ],
    ['with all that pg has by default', { ...pg.defaults, connectionString: URL_OF_SHOP }],
    [
      'with what other libraries read of it',
      {
        ...{ host: 'db', user: 'app', password: async () => 'secret', database: 'shop' },
        ...{
          type: 'postgres',
          client: 'pg',
          dialect: 'postgres',
          schema: 'shop',
          searchPath: ['shop'],
          url: 'x',
        },
        ...{
          logging: false,
          logger: console,
          role: 'app',
          timezone: 'UTC',
          retry: 3,
          region: 'eu',
          name2: 'x',
        },
      },
    ],
    [
      'that says the same twice, as for two libraries',
      { host: 'db', hostname: 'db', user: 'app', username: 'app', statement_timeout: 1, statementTimeout: 1 },
    ],
    [
      'beside whose connection string are names of its owner',
      { connectionString: URL_OF_SHOP, db: 'main', server: 1 },
    ],
    ['in which a misspelt setting is undefined', { host: 'db', username: undefined }],
    ['with a connection of its own', { connection: new EventEmitter(), host: 'db' }],
    ['with a connection that is undefined', { connection: undefined, host: 'db' }],
  ])('%s', (_what, given) => {
    expect(refusal(given)).toEqual(['', 'nothing was refused'])
  })
})

it('every setting that pg and its pool read is taken', () => {
  const source = ['pg/lib/client.js', 'pg/lib/connection.js', 'pg/lib/connection-parameters.js', 'pg-pool']
    .map((file) => readFileSync(createRequire(import.meta.url).resolve(file), 'utf8'))
    .join('\n')
  const read = source.matchAll(/\b(?:c|config|this\.options)\.([a-zA-Z_]+)|\bval\('([a-zA-Z_]+)'/g)
  const names = new Set([...read].map(([, ofConfig, ofValue]) => ofConfig ?? ofValue ?? ''))
  expect(names.size).toBeGreaterThan(35)
  for (const name of names) {
    // Some are of another kind than a number.
    if (['connectionString', 'connection', 'host', 'submit'].includes(name)) continue
    expect([name, ...refusal({ host: 'db', [name]: 1 })]).toEqual([name, '', 'nothing was refused'])
  }
})

it('a list that was split at its commas reaches its servers, blanks or not', async () => {
  await using cluster = await startShop(2)
  const list = cluster.replicas.map(({ connectionString }) => connectionString).join(' , ')
  await using db = openDatabase(cluster, {
    primary: { connectionString: ` ${cluster.primary.connectionString} ` },
    replicas: ` ${list}\n`.split(','),
  })
  const portOf = async (node: string) => {
    const { rows } = await useNode(node, () =>
      sql<{ port: number }>`select inet_server_port() as port`.execute(db),
    )
    return rows[0]?.port
  }
  const ports = [await portOf('primary'), await portOf('replica-1'), await portOf('replica-2')]
  expect(ports).toEqual(cluster.nodes.map(({ port }) => port))
})
