import { asc, eq, sql } from 'drizzle-orm'
import { drizzle as drizzleOver, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import { pgTable, serial, text as textColumn } from 'drizzle-orm/pg-core'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { type Client, missing, nodesOf, type Row, type Statements } from './client.ts'

const item = pgTable('item', { id: serial().primaryKey(), name: textColumn().notNull() })

export const drizzle: Client = {
  name: 'Drizzle',
  has: new Set(['connection', 'read only', 'named', 'lazy']),
  async open(cluster, options) {
    const pool = new PrimaryReplicaPool({ ...nodesOf(cluster), ...options })
    const db = drizzleOver({ client: pool })
    const byName = db
      .select()
      .from(item)
      .where(eq(item.name, sql.placeholder('name')))
      .prepare('items-by-name')
    return {
      ...statements(db),
      control: pool,
      transaction: (work) => db.transaction((tx) => work(statements(tx))),
      close: () => pool.end(),
      async connection(work) {
        const client = await pool.connect()
        try {
          return await work(statements(drizzleOver({ client })))
        } finally {
          client.release()
        }
      },
      readOnlyTransaction: (work) =>
        db.transaction((tx) => work(statements(tx)), { accessMode: 'read only' }),
      named: async (name) => (await byName.execute({ name })).map((each) => each.name),
      lazy: () => db.select().from(item),
      stream: missing,
      marked: missing,
      lend: missing,
    }
  },
}

type Database = Pick<NodePgDatabase, 'select' | 'insert' | 'update' | 'execute'>

function statements(db: Database): Statements {
  return {
    async names() {
      const items = await db.select({ name: item.name }).from(item).orderBy(asc(item.id))
      return items.map(({ name }) => name)
    },
    // What Drizzle gives is sent once it is awaited.
    add: async (name) => await db.insert(item).values({ name }),
    async rename(from, to) {
      const { rowCount } = await db.update(item).set({ name: to }).where(eq(item.name, from))
      return rowCount ?? 0
    },
    run: async (text, values) => (await db.execute<Row>(withValues(text, values))).rows,
  }
}

/** A text of its own, with Drizzle's placeholders in the place of `$1`, `$2`, …. */
function withValues(text: string, values: readonly unknown[] = []) {
  const parts = text.split(/\$(\d+)/)
  return sql.join(parts.map((part, at) => (at % 2 === 0 ? sql.raw(part) : sql`${values[Number(part) - 1]}`)))
}
