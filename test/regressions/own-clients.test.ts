import { Kysely, sql } from 'kysely'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { PrimaryReplicaDialect, type PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import { type PostgresNode, startPostgresCluster } from 'write-pinning/testing'
import { type Database, poolOf } from '../support/cluster.ts'
import { whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// What an application sets for every connection of its process is meant for its own statements.
const { cluster, atEnd } = useShop({
  sql: "create function steady() returns int stable language sql as 'select 7'",
})
const DEFAULTS = { ...pg.defaults }
let replica: PostgresNode
beforeEach(() => {
  replica = cluster.replicas[0] as PostgresNode
})
afterEach(() => {
  Object.assign(pg.defaults, DEFAULTS)
  vi.unstubAllEnvs()
})

const setDefaults = (defaults: object) => Object.assign(pg.defaults, defaults)
const WAIT = { timeout: 10_000, interval: 20 }

function open(options: Partial<PrimaryReplicaDialectOptions> = {}) {
  const dialect = new PrimaryReplicaDialect({
    primary: poolOf(cluster.primary),
    replicas: [poolOf(replica)],
    probeIntervalMs: 20,
    ...options,
  })
  const db = new Kysely<Database>({ dialect })
  atEnd(() => db.destroy())
  const where = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))
  return { db, dialect, where }
}

test('answers in binary', async () => {
  setDefaults({ binary: true })
  const { where } = open()
  await vi.waitFor(async () => expect(await where('select steady()')).toEqual(['replica: read']), WAIT)
})

test('a time after which an application gives up its queries', async () => {
  const far = await TcpProxy.start(replica)
  atEnd(() => far.stop())
  far.slow(50)
  setDefaults({ query_timeout: 80 })
  const { dialect } = open({ replicas: [far.connectionString] })
  await vi.waitFor(async () => expect((await dialect.ready()).nodes[1]).toMatchObject({ isFit: true }), WAIT)
})

describe('times after which the server ends what an application does are none of an own connection', () => {
  const TIMEOUTS = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']
  const ofAll = (value: number) => Object.fromEntries(TIMEOUTS.map((name) => [name, value]))
  const options = TIMEOUTS.map((name) => `-c ${name}=7s`).join(' ')
  const encoded = `?options=${encodeURIComponent(`${options} -c search_path=mine`)}`

  const ways: Record<string, () => Partial<PrimaryReplicaDialectOptions>> = {
    'by the defaults of pg': () => {
      setDefaults(ofAll(7_000))
      return {}
    },
    'by the configuration of the pool': () => {
      const { connectionString } = replica
      return { replicas: [{ connectionString, ...ofAll(7_000) }] }
    },
    'by PGOPTIONS': () => {
      vi.stubEnv('PGOPTIONS', `${options} -c search_path=mine`)
      return {}
    },
    'by the connection string': () => ({ replicas: [`${replica.connectionString}${encoded}`] }),
    'by another spelling': () => ({
      replicas: [`${replica.connectionString}?options=--statement-timeout=7s%20-cSearch_path=mine`],
    }),
  }
  test.each(Object.entries(ways))('%s', async (_name, settings) => {
    const told: Record<string, unknown> = {}
    const { where } = open({
      ...settings(),
      lagSource: async ({ query }) => {
        for (const name of TIMEOUTS) Object.assign(told, ...(await query(`show ${name}`)))
        return 0
      },
    })
    expect(await where('select 1')).toEqual(['replica: read'])
    expect(told).toEqual(Object.fromEntries(TIMEOUTS.map((name) => [name, '0'])))
  })

  test('and the sessions of the application keep them', async () => {
    setDefaults({ ...ofAll(7_000), options: '-c search_path=mine' })
    const { db, where } = open()
    expect(await where('select 1')).toEqual(['replica: read'])
    const settings = () =>
      sql`select pg_is_in_recovery() as replica, current_setting('statement_timeout') as timeout,
        current_setting('search_path') as path`.execute(db)
    let rows: unknown[] = []
    await whereAndWhyInRequest(async () => {
      rows = (await settings()).rows
    })
    expect(rows).toEqual([{ replica: true, timeout: '7s', path: 'mine' }])
  })
})

test('a test cluster starts, and its replica is promoted, whatever is set for every connection', async () => {
  setDefaults({ statement_timeout: 50, query_timeout: 50, lock_timeout: 1, ssl: true, binary: true })
  vi.stubEnv('PGSSLMODE', 'require')
  vi.stubEnv('PGSSLNEGOTIATION', 'direct')
  vi.stubEnv('PGOPTIONS', '-c default_transaction_read_only=on -c search_path=mine')
  await using other = await startPostgresCluster({ replicas: 1 })
  const [promoted] = other.replicas
  await promoted?.promote()
  expect(await promoted?.lsn()).toMatch(/^\d+\/[\dA-F]+$/)
})
