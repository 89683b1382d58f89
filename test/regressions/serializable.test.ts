import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { seesOn } from '../support/exact.ts'
import { RefusingClient } from '../support/refusing-client.ts'
import { inRequest, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'

// A hot standby refuses whatever a session runs that is serializable by default.
const { cluster, open: openDatabase, serveShop } = useShop()
let replica: PostgresNode
let primaryUrl: string
let url: string

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  primaryUrl = cluster.primary.connectionString
  url = replica.connectionString
})

afterEach(async () => {
  vi.unstubAllEnvs()
  await cluster.primary.query('alter role postgres reset default_transaction_isolation')
  await cluster.waitForCatchup()
})

const SERIALIZABLE = '-c default_transaction_isolation=serializable'

function open(
  given: string | pg.PoolConfig,
  primary: string | pg.PoolConfig = primaryUrl,
  options: Partial<PrimaryReplicaDialectOptions> = {},
): Kysely<Database> {
  return openDatabase({ primary, replicas: [given], ...options })
}

interface Settings {
  readonly node: string
  readonly isolation: string
  readonly path: string
  readonly readOnly: string
}

/** Where a read runs, and how. */
async function settings(db: Kysely<Database>): Promise<Settings | undefined> {
  const { rows } = await inRequest(() =>
    sql<Settings>`select case when pg_is_in_recovery() then 'replica' else 'primary' end as node,
      current_setting('transaction_isolation') as isolation, current_setting('search_path') as path,
      current_setting('default_transaction_read_only') as "readOnly"`.execute(db),
  )
  return rows[0]
}

const SERVED = { node: 'replica', isolation: 'repeatable read', readOnly: 'on' }

describe('a replica serves reads where sessions are serializable by default', () => {
  const given: Record<string, () => string | pg.PoolConfig> = {
    'in a configuration': () => ({ connectionString: url, options: `${SERIALIZABLE} -c search_path=mine` }),
    'in a connection string': () =>
      `${url}?options=${encodeURIComponent(`${SERIALIZABLE} -c search_path=mine`)}`,
    'in a connection string, as a form writes it': () =>
      `${url}?options=-c+default_transaction_isolation%3DSERIALIZABLE+-c+search_path%3Dmine`,
    'in a connection string that has spaces in it': () =>
      `${url}?application_name=my app&options=--default-transaction-isolation=serializable -c search_path=mine`,
    'in a connection string with a lone percent sign': () =>
      `${url}?options=-cdefault_transaction_isolation=serializable%20-c%20search_path=mine%20-c%20application_name=100%`,
    'twice, of which the last counts': () => ({
      connectionString: url,
      options: `-c default_transaction_isolation=read\\ committed ${SERIALIZABLE} -c search_path=mine`,
    }),
  }
  test.each(Object.entries(given))('%s', async (_name, replicaGiven) => {
    const db = open(replicaGiven())
    expect(await settings(db)).toEqual({ ...SERVED, path: 'mine' })
  })

  test('in PGOPTIONS', async () => {
    vi.stubEnv('PGOPTIONS', `${SERIALIZABLE} -c search_path=mine`)
    expect(await settings(open(url))).toEqual({ ...SERVED, path: 'mine' })
  })

  test('by their role', async () => {
    await cluster.primary.query("alter role postgres set default_transaction_isolation = 'serializable'")
    await cluster.waitForCatchup()
    const db = open(url)
    expect(await settings(db)).toMatchObject(SERVED)
    expect(await whereAndWhyInRequest(() => db.selectFrom('item').selectAll().execute())).toEqual([
      'replica: read',
    ])
  })

  test('by their role, from some time on: then the primary serves until that is known', async () => {
    const pool = new pg.Pool({ connectionString: url, idleTimeoutMillis: 1 })
    const db = open(pool as unknown as pg.PoolConfig)
    expect(await settings(db)).toMatchObject({ node: 'replica', isolation: 'read committed' })
    await cluster.primary.query("alter role postgres set default_transaction_isolation = 'serializable'")
    await cluster.waitForCatchup()
    await vi.waitFor(() => expect(pool.totalCount).toBe(0))
    await vi.waitFor(async () => expect(await settings(db)).toMatchObject(SERVED), 10_000)
  })

  test('whether they are read-only or not', async () => {
    const db = open({ connectionString: url, options: SERIALIZABLE }, primaryUrl, { enforceReadOnly: false })
    expect(await settings(db)).toMatchObject({ ...SERVED, readOnly: 'off' })
  })

  test('with exact pins', async () => {
    const db = open({ connectionString: url, options: SERIALIZABLE })
    const { openAgent } = await serveShop(db)
    const agent = openAgent()
    await agent.post('/items/exact')
    await cluster.waitForCatchup()
    await vi.waitFor(async () => expect(await seesOn(agent, 'exact')).toEqual([true, 'replica-1']), 5_000)
    await replica.pauseReplay()
    await agent.post('/items/later')
    expect(await seesOn(agent, 'later')).toEqual([true, 'primary'])
    await replica.resumeReplay()
  })
})

test('the primary’s own sessions stay serializable, and so does what asks for it', async () => {
  const serializable = { connectionString: primaryUrl, options: SERIALIZABLE }
  const db = open({ connectionString: url, options: SERIALIZABLE }, serializable)
  const { rows } = await inRequest(() =>
    db.transaction().execute((trx) => sql<object>`show transaction_isolation`.execute(trx)),
  )
  expect(rows).toEqual([{ transaction_isolation: 'serializable' }])
  const routes = await whereAndWhyInRequest(async () => {
    const readOnly = db.transaction().setAccessMode('read only')
    await readOnly.execute((trx) => trx.selectFrom('item').selectAll().execute())
    await readOnly
      .setIsolationLevel('serializable')
      .execute((trx) => trx.selectFrom('item').selectAll().execute())
  })
  expect(routes).toEqual(['replica: transaction', 'primary: transaction'])
})

test('another isolation level is left as it is', async () => {
  for (const options of [
    '-c default_transaction_isolation=read\\ committed',
    `${SERIALIZABLE} -c default_transaction_isolation=read\\ committed`,
  ]) {
    const db = open({ connectionString: url, options })
    expect(await settings(db)).toMatchObject({ node: 'replica', isolation: 'read committed' })
  }
})

test('behind a pooler that takes no start-up options, the primary serves, and nothing is tried for ever', async () => {
  await cluster.primary.query("alter role postgres set default_transaction_isolation = 'serializable'")
  await cluster.waitForCatchup()
  const pool = new pg.Pool({ connectionString: url, Client: RefusingClient } as pg.PoolConfig)
  const warnings = await warningsOf(async () => {
    const db = open(pool as unknown as pg.PoolConfig)
    for (let read = 0; read < 3; read++) expect(await settings(db)).toMatchObject({ node: 'primary' })
  })
  expect(warnings).toContain('WRITE_PINNING_NOT_READ_ONLY')
})
