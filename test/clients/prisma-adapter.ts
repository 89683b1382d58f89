import { PrismaPg } from '@prisma/adapter-pg'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { type Client, missing, nodesOf, type Row, type Statements } from './client.ts'

type Adapter = Awaited<ReturnType<PrismaPg['connect']>>
type Transaction = Awaited<ReturnType<Adapter['startTransaction']>>

/** What Prisma itself runs its statements with, driven as Prisma drives it. */
export const prismaAdapter: Client = {
  name: 'Prisma’s adapter',
  has: new Set(['named']),
  async open(cluster, options) {
    const pool = new PrimaryReplicaPool({ ...nodesOf(cluster), ...options })
    const adapter = await new PrismaPg(pool, { disposeExternalPool: true }).connect()
    const naming = await new PrismaPg(pool, { statementNameGenerator: () => 'items-by-name' }).connect()
    return {
      ...statements(adapter),
      control: pool,
      transaction: (work) => inTransaction(adapter, work),
      close: () => adapter.dispose(),
      named: async (name) =>
        (await query(naming, 'select name from item where name = $1', [name])).map((item) => item.name),
      connection: missing,
      readOnlyTransaction: missing,
      stream: missing,
      marked: missing,
      lend: missing,
      lazy: missing,
    }
  },
}

function statements(on: Adapter | Transaction): Statements {
  return {
    async names() {
      return (await query(on, 'SELECT "public"."item"."name" FROM "public"."item" ORDER BY "id"')).map(
        ({ name }) => name,
      )
    },
    add: (name) => query(on, 'INSERT INTO "public"."item" ("name") VALUES ($1) RETURNING "id"', [name]),
    rename: (from, to) => {
      const text = 'UPDATE "public"."item" SET "name" = $2 WHERE "name" = $1'
      return on.executeRaw(queryOf(text, [from, to]))
    },
    run: (text, values) => query(on, text, values),
  }
}

/** As Prisma does it: with its own COMMIT or ROLLBACK, after which the connection goes back, whatever came of them. */
async function inTransaction<T>(adapter: Adapter, work: (inside: Statements) => Promise<T>): Promise<T> {
  const transaction = await adapter.startTransaction('READ COMMITTED')
  const [result] = await Promise.allSettled([work(statements(transaction))])
  const isDone = result.status === 'fulfilled'
  try {
    await transaction.executeRaw(queryOf(isDone ? 'COMMIT' : 'ROLLBACK'))
  } finally {
    await transaction.rollback()
  }
  if (isDone) return result.value
  throw result.reason
}

async function query(on: Adapter | Transaction, text: string, values?: readonly unknown[]): Promise<Row[]> {
  const { columnNames, rows } = await on.queryRaw(queryOf(text, values))
  return rows.map((row) => Object.fromEntries(columnNames.map((name, at) => [name, row[at]])))
}

function queryOf(sql: string, values: readonly unknown[] = []) {
  const argTypes = values.map(() => ({ scalarType: 'unknown' as const, arity: 'scalar' as const }))
  return { sql, args: [...values], argTypes }
}
