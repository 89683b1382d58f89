import { EntitySchema, MikroORM, type SqlEntityManager } from '@mikro-orm/postgresql'
import Cursor from 'pg-cursor'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { type Client, missing, nodesOf, type Row, type Statements } from './client.ts'

const Item = new EntitySchema<{ id: number; name: string }>({
  name: 'Item',
  tableName: 'item',
  properties: { id: { type: 'integer', primary: true, autoincrement: true }, name: { type: 'text' } },
})

export const mikroOrm: Client = {
  name: 'MikroORM',
  has: new Set(['read only', 'stream']),
  async open(cluster, options) {
    const dialect = new PrimaryReplicaDialect({ ...nodesOf(cluster), cursor: Cursor, ...options })
    const orm = await MikroORM.init({
      entities: [Item],
      dbName: 'test',
      driverOptions: dialect,
    })
    await orm.connect()
    // Each of its units of work has a manager of its own.
    const fork = () => orm.em.fork()
    return {
      ...statements(fork),
      control: dialect,
      transaction: (work) => fork().transactional((em) => work(statements(() => em))),
      close: () => orm.close(true),
      readOnlyTransaction: (work) =>
        fork().transactional((em) => work(statements(() => em)), { readOnly: true }),
      stream: (text) => fork().getConnection().stream<Row>(text, [], undefined, undefined, 2),
      connection: missing,
      named: missing,
      marked: missing,
      lend: missing,
      lazy: missing,
    }
  },
}

function statements(em: () => SqlEntityManager): Statements {
  return {
    async names() {
      return (await em().find(Item, {}, { orderBy: { id: 'asc' } })).map(({ name }) => name)
    },
    add: (name) => em().insert(Item, { name }),
    rename: (from, to) => em().nativeUpdate(Item, { name: from }, { name: to }),
    run: (text, values = []) => {
      const given: unknown[] = []
      const its = text.replace(/\$(\d)/g, (_, at) => {
        given.push(values[Number(at) - 1])
        return '?'
      })
      return em().execute(its, given)
    },
  }
}
