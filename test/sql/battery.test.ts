import pg from 'pg'
import { beforeAll, expect, test } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { StatementClassifier } from '../../src/sql/classifier.ts'
import { postgresVersion } from '../support/postgres-version.ts'
import { useCluster } from '../support/shop.ts'
import { FUNCTIONS } from './battery/functions.ts'
import { READS } from './battery/reads.ts'
import { SCHEMA } from './battery/schema.ts'
import { SESSION } from './battery/session.ts'
import { WRITES } from './battery/writes.ts'
import { readCatalog } from './read-catalog.ts'

const ALL = [...READS, ...WRITES, ...FUNCTIONS, ...SESSION].filter(
  ([, , , since = 0]) => postgresVersion >= since,
)

const { cluster } = useCluster()
let classifier: StatementClassifier

beforeAll(async () => {
  const { host, port } = cluster.primary
  await cluster.primary.query(
    SCHEMA.replace(':fdw', `host '${host}', port '${port}', dbname '${database()}'`),
  )
  await cluster.waitForCatchup()
  // From the replica, which has to know as much as the primary does.
  const [replica] = cluster.replicas
  const options = {
    primaryTables: ['session'],
    unpinnedTables: [],
    primaryFunctions: [],
    replicaFunctions: [],
  }
  classifier = new StatementClassifier(options)
  classifier.catalog = await readCatalog(
    (text, values) => (replica as PostgresNode).query(text, values as unknown[]),
    options,
  )
}, 60_000)

test('the battery has at least 250 different statements', () => {
  expect(new Set(ALL.map(([, sql]) => sql)).size).toBeGreaterThanOrEqual(250)
})

test('every statement is called what it is', () => {
  const wrong = ALL.map(([kind, sql]) => ({ sql, kind, called: classifier.classify(sql).kind }))
  expect(wrong.filter(({ kind, called }) => kind !== called)).toEqual([])
})

test('what is called a read runs on a standby, and takes effect nowhere', { timeout: 120_000 }, async () => {
  const wrong: object[] = []
  for (const [kind, sql, exception] of ALL) {
    const before = await writtenOnPrimary()
    const answer = await runOnReplica(sql)
    const hasEffect = answer.leavesSomething || before !== (await writtenOnPrimary())
    const isFine = answer.code === 'ok' && !hasEffect
    // An exception has to be one, or it would hide what changes later.
    if (kind === 'read' && isFine === (exception !== undefined)) wrong.push({ sql, hasEffect, ...answer })
  }
  expect(wrong).toEqual([])
})

/** Runs a text in a session of its own on the standby; what it leaves there is gone with the session. */
async function runOnReplica(sql: string): Promise<{ code: string; leavesSomething: boolean }> {
  const client = new pg.Client({
    connectionString: cluster.replicas[0]?.connectionString,
    statement_timeout: 2_000,
  })
  client.on('error', () => {})
  await client.connect()
  try {
    let code = 'ok'
    try {
      const { host, port } = cluster.primary
      await client.query(
        sql.replaceAll(':primary', `host=${host} port=${port} user=postgres dbname=${database()}`),
      )
    } catch (error) {
      code = (error as { code?: string }).code ?? String(error)
    }
    const { rows } = await client.query(LEFT_IN_SESSION)
    return { code, leavesSomething: rows[0].count !== '0' }
  } finally {
    await client.end()
  }
}

async function writtenOnPrimary(): Promise<string> {
  const rows = await cluster.primary.query(
    'select (select count(*) from audit) as audit, (select last_value from counter) as counter, (select sum(price) from item) as item',
  )
  return JSON.stringify(rows)
}

function database(): string {
  return new URL(cluster.primary.connectionString).pathname.slice(1)
}

const LEFT_IN_SESSION = `
select (select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())
  + (select count(*) from pg_settings where source = 'session')
  + (select count(*) from pg_prepared_statements)
  + (select count(*) from pg_listening_channels()) as count`
