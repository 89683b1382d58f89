import { Kysely, type LogEvent, PostgresDialect, sql } from 'kysely'
import Cursor from 'pg-cursor'
import { expect, test, vi } from 'vitest'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { type Database, poolOf } from '../support/cluster.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

const { cluster } = useShop()

const ours = () =>
  new PrimaryReplicaDialect({
    primary: poolOf(cluster.primary),
    replicas: cluster.replicas.map(poolOf),
    cursor: Cursor,
  })
const theirs = () => new PostgresDialect({ pool: poolOf(cluster.primary), cursor: Cursor })

/** A bit of everything that a log may show. */
async function useEverything(db: Kysely<Database>): Promise<void> {
  const ignore = () => {}
  await db.selectFrom('item').select('id').execute()
  await db.insertInto('item').values({ name: 'logged' }).execute()
  await sql`select 1 / 0`.execute(db).catch(ignore)
  await db.transaction().execute((trx) => trx.selectFrom('item').select('name').execute())
  await db
    .transaction()
    .setIsolationLevel('serializable')
    .execute(async () => {})
  await db
    .transaction()
    .setAccessMode('read only')
    .execute((trx) => sql`select 'read only'`.execute(trx))
  await db
    .transaction()
    .execute((trx) => sql`select 'broken' / 0`.execute(trx))
    .catch(ignore)
  const trx = await db.startTransaction().execute()
  const one = await trx.savepoint('one').execute()
  await one.deleteFrom('item').where('id', '=', -1).execute()
  await one.rollbackToSavepoint('one').execute()
  await (await trx.savepoint('two').execute()).releaseSavepoint('two').execute()
  await trx.commit().execute()
  await (await db.startTransaction().execute()).rollback().execute()
  await db.connection().execute(async (connection) => {
    await connection.selectFrom('item').selectAll().execute()
    await connection.updateTable('item').set({ name: 'logged' }).execute()
  })
  for await (const _ of db.selectFrom('item').selectAll().stream());
  for await (const _ of db.selectFrom('item').selectAll().stream()) break
  await db.introspection.getSchemas()
}

test('a log function sees every statement exactly once, as with Kysely’s own dialect', async () => {
  const logOf = async (dialect: PostgresDialect | PrimaryReplicaDialect) => {
    const log: string[] = []
    const record = (event: LogEvent) => {
      const kind = event.level === 'query' && event.isStream ? 'stream' : event.level
      log.push(`${kind}: ${event.query.sql}`)
    }
    await using db = new Kysely<Database>({ dialect, log: record })
    await inRequest(() => useEverything(db))
    return log
  }
  const log = await logOf(ours())
  expect(log).toEqual(await logOf(theirs()))
  expect(log.filter((each) => each === 'query: commit')).toHaveLength(4)
  expect(log.filter((each) => /: (savepoint|rollback to|release) /.test(each))).toHaveLength(4)
  expect(log).toContain('query: start transaction read only')
})

test("so does log: ['query', 'error']", async () => {
  const linesOf = async (dialect: PostgresDialect | PrimaryReplicaDialect) => {
    const lines: string[] = []
    const record = (...line: unknown[]) => {
      // What takes how long is no part of the comparison, nor are colours and stacks.
      const [text] = String(line[0]).split('\n')
      if (!/duration/.test(text ?? '')) lines.push(text ?? '')
    }
    const spies = [
      vi.spyOn(console, 'log').mockImplementation(record),
      vi.spyOn(console, 'error').mockImplementation(record),
    ]
    try {
      await using db = new Kysely<Database>({ dialect, log: ['query', 'error'] })
      await inRequest(() => useEverything(db))
    } finally {
      for (const spy of spies) spy.mockRestore()
    }
    return lines
  }
  const lines = await linesOf(ours())
  expect(lines).toEqual(await linesOf(theirs()))
  expect(lines.length).toBeGreaterThan(25)
})
