import { PassThrough } from 'node:stream'
import pgPromise, { type IBaseProtocol, type IDatabase } from 'pg-promise'
import QueryStream from 'pg-query-stream'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { type Client, missing, nodesOf, type Statements } from './client.ts'

const pgp = pgPromise()
const { TransactionMode } = pgp.txMode

export const pgPromiseClient: Client = {
  name: 'pg-promise',
  has: new Set(['connection', 'read only', 'stream', 'named', 'lend', 'late']),
  async open(cluster, options) {
    const pool = new PrimaryReplicaPool({ ...nodesOf(cluster), ...options })
    // What is left in the session of an idle client is soon closed with it.
    const db: IDatabase<object> = pgp({
      Client: pool.driver.Client,
      max: 50,
      idleTimeoutMillis: 50,
    } as object)
    return {
      ...statements(db),
      control: pool,
      transaction: (work) => db.tx((t) => work(statements(t))),
      async close() {
        await db.$pool.end()
        await pool.end()
      },
      connection: (work) => db.task((t) => work(statements(t))),
      readOnlyTransaction: (work) =>
        db.tx({ mode: new TransactionMode({ readOnly: true }) }, (t) => work(statements(t))),
      async *stream(text) {
        const rows = new PassThrough({ objectMode: true })
        const streamed = db.stream(new QueryStream(text, [], { batchSize: 2 }) as never, (stream) => {
          ;(stream as unknown as NodeJS.ReadableStream).on('error', (error) => rows.destroy(error)).pipe(rows)
          rows.on('close', () =>
            (stream as unknown as PassThrough).destroy(rows.errored ?? new Error('left')),
          )
        })
        streamed.catch(() => {})
        yield* rows
      },
      named: async (name) => {
        const text = 'select name from item where name = $1'
        return (await db.any({ name: 'items-by-name', text, values: [name] })).map((item) => item.name)
      },
      async lend(work) {
        const lent = await db.connect()
        try {
          return await work(lent.client as never)
        } finally {
          await lent.done()
        }
      },
      marked: missing,
      lazy: missing,
    }
  },
}

function statements(on: IBaseProtocol<object>): Statements {
  return {
    names: () => on.map('select name from item order by id', [], ({ name }) => name),
    add: (name) => on.none('insert into item (name) values ($1)', [name]),
    rename: (from, to) =>
      on.result('update item set name = $2 where name = $1', [from, to], (r) => r.rowCount),
    run: (text, values) => on.any(text, values === undefined ? undefined : [...values]),
  }
}
