import type { Knex } from 'knex'
import { Model, transaction } from 'objection'
import type { Client, Statements } from './client.ts'
import { openKnex, rawOf } from './knex.ts'

class Item extends Model {
  static override tableName = 'item'
  declare id: number
  declare name: string
}

export const objection: Client = {
  name: 'Objection',
  has: new Set(['read only', 'lazy', 'late']),
  async open(cluster, options) {
    const { db, open } = openKnex(cluster, options)
    return {
      ...open,
      ...statements(db),
      transaction: (work) => transaction(db, (trx) => work(statements(trx))),
      readOnlyTransaction: (work) => db.transaction((trx) => work(statements(trx)), { readOnly: true }),
      lazy: () => Item.query(db).select('name').orderBy('id'),
    }
  },
}

function statements(db: Knex): Statements {
  return {
    async names() {
      return (await Item.query(db).orderBy('id')).map(({ name }) => name)
    },
    add: async (name) => await Item.query(db).insert({ name }),
    rename: async (from, to) => await Item.query(db).where({ name: from }).patch({ name: to }),
    run: async (text, values) => (await rawOf(db, text, values)).rows,
  }
}
