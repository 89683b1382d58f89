import knexOf, { type Knex } from 'knex'
import pgPromise from 'pg-promise'
import { type Options, Sequelize } from 'sequelize'
import { DataSource, type DataSourceOptions } from 'typeorm'
import { describe, expect, it } from 'vitest'
import { knexClient } from 'write-pinning/knex'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { messagesOf } from '../support/warnings.ts'
import { nodesOf } from './client.ts'
import { startCluster } from './contract.ts'

const cluster = await startCluster()
const pgp = pgPromise({ noWarnings: true })

/** How each library makes clients of `pool.driver`: with nothing said of where to connect, and with what its users write. */
const libraries: Record<string, (pool: PrimaryReplicaPool, given?: object) => Promise<void>> = {
  async Sequelize(pool, given) {
    const db = new Sequelize({
      dialect: 'postgres',
      dialectModule: pool.driver,
      logging: false,
      ...given,
    } as Options)
    await Promise.all([db.query('select 1'), db.query('select 2')])
    await db.close()
  },
  async TypeORM(pool, given) {
    const source = new DataSource({ type: 'postgres', driver: pool.driver, ...given } as DataSourceOptions)
    await source.initialize()
    await Promise.all([source.query('select 1'), source.query('select 2')])
    await source.destroy()
  },
  async Knex(pool, given) {
    const db = knexOf({
      client: knexClient(pool),
      pool: { min: 0, max: 5 },
      ...(given && { connection: given as Knex.PgConnectionConfig }),
    })
    await Promise.all([db.raw('select 1'), db.raw('select 2')])
    await db.destroy()
  },
  async 'pg-promise'(pool, given) {
    const db = pgp({ Client: pool.driver.Client as never, max: 5, ...given })
    await Promise.all([db.one('select 1'), db.one('select 2')])
    await db.$pool.end()
  },
  async pg(pool, given) {
    const its = new pool.driver.Pool(given)
    await Promise.all([its.query('select 1'), its.query('select 2')])
    await its.end()
  },
}

async function warningsWith(name: string, given?: object): Promise<string[]> {
  return await messagesOf(async () => {
    const pool = new PrimaryReplicaPool(nodesOf(cluster))
    await libraries[name]?.(pool, given)
    await pool.end()
  })
}

const warningOf = (names: string) =>
  `A client of the driver of cluster 'default' was told where to connect (${names}). That is ignored: the nodes of the PrimaryReplicaPool say ` +
  "where. Take it out of the library's configuration."

const NOWHERE = { host: '127.0.0.1', port: 1, database: 'nowhere' }

describe.each(Object.keys(libraries))('%s', (name) => {
  it('tells nothing where nothing is said of where to connect', async () => {
    expect(await warningsWith(name)).toEqual([])
  })

  it('tells once that it is not asked where to connect', async () => {
    expect(await warningsWith(name, NOWHERE)).toEqual([warningOf('`host`, `port`, `database`')])
  })
})

it('what a library sets for its sessions, or fills in by itself, is no such thing', async () => {
  const given = { application_name: 'shop', statement_timeout: 5_000, host: 'localhost', port: 5432 }
  expect(await warningsWith('pg', given)).toEqual([])
  const ofSequelize = { dialectOptions: { statement_timeout: 5_000 }, schema: 'public' }
  expect(await warningsWith('Sequelize', ofSequelize)).toEqual([])
  expect(await warningsWith('Knex', { application_name: 'shop' })).toEqual([])
  expect(await warningsWith('TypeORM', { applicationName: 'shop', schema: 'public' })).toEqual([])
})

describe('it is told of', () => {
  it('a URL, whose parts are not shown', async () => {
    const url = 'postgres://app:hunter2@127.0.0.1:1/nowhere'
    expect(await warningsWith('TypeORM', { url })).toEqual([warningOf('`connectionString`')])
    expect(await warningsWith('pg', { connectionString: url })).toEqual([warningOf('`connectionString`')])
    expect(await messagesOf(() => new new PrimaryReplicaPool(nodesOf(cluster)).driver.Client(url))).toEqual([
      warningOf('a connection string'),
    ])
  })

  it("replicas of the library's own", async () => {
    const replication = { read: [NOWHERE], write: NOWHERE }
    expect(await warningsWith('Sequelize', { replication })).toEqual([
      warningOf('`host`, `port`, `database`'),
    ])
    const ofTypeorm = { replication: { master: NOWHERE, slaves: [NOWHERE] } }
    expect(await warningsWith('TypeORM', ofTypeorm)).toEqual([warningOf('`host`, `port`, `database`')])
  })

  it('encryption, of which the nodes know nothing then', async () => {
    expect(await warningsWith('Sequelize', { dialectOptions: { ssl: { ca: 'x' } } })).toEqual([
      warningOf('`ssl`'),
    ])
  })
})
