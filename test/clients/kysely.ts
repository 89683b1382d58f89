import { CompiledQuery, Kysely, sql } from 'kysely'
import Cursor from 'pg-cursor'
import { orPrimary, PrimaryReplicaDialect, toPrimary, toReplica } from 'write-pinning/kysely'
import type { Database } from '../support/cluster.ts'
import { type Client, missing, nodesOf, type Row, type Statements } from './client.ts'

const MARKS = { toPrimary, toReplica, orPrimary }

export const kysely: Client = {
  name: 'Kysely',
  has: new Set(['connection', 'read only', 'stream', 'mark']),
  async open(cluster, options) {
    const dialect = new PrimaryReplicaDialect({ ...nodesOf(cluster), cursor: Cursor, ...options })
    const db = new Kysely<Database>({ dialect })
    return {
      ...statements(db),
      control: dialect,
      transaction: (work) => db.transaction().execute((trx) => work(statements(trx))),
      close: () => db.destroy(),
      connection: (work) => db.connection().execute((on) => work(statements(on))),
      readOnlyTransaction: (work) => {
        const transaction = db.transaction().setAccessMode('read only')
        return transaction.execute((trx) => work(statements(trx)))
      },
      async *stream(text) {
        const query = CompiledQuery.raw(text) as CompiledQuery<Row>
        for await (const { rows } of db.getExecutor().stream<Row>(query, 2)) yield* rows
      },
      marked: async (mark, text) => (await MARKS[mark](sql.raw<Row>(text)).execute(db)).rows,
      named: missing,
      lend: missing,
      lazy: missing,
    }
  },
}

function statements(db: Kysely<Database>): Statements {
  return {
    async names() {
      const items = await db.selectFrom('item').select('name').orderBy('id').execute()
      return items.map(({ name }) => name)
    },
    add: (name) => db.insertInto('item').values({ name }).execute(),
    async rename(from, to) {
      const update = db.updateTable('item').set({ name: to }).where('name', '=', from)
      return Number((await update.executeTakeFirst()).numUpdatedRows)
    },
    async run(text, values = []) {
      const { rows } = await db.executeQuery<Row>(CompiledQuery.raw(text, [...values]) as CompiledQuery<Row>)
      return rows
    },
  }
}
