import type pg from 'pg'
import { DataTypes, Sequelize, type Transaction } from 'sequelize'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { type Client, missing, nodesOf, type Row, type Statements } from './client.ts'

/** As it connects anew after an idle moment it would set these first, among the statements that tests count; `sequelize.test.ts` has it do so. */
const SETS_NOTHING = { keepDefaultTimezone: true, dialectOptions: { clientMinMessages: 'ignore' } }

export const sequelize: Client = {
  name: 'Sequelize',
  has: new Set(['lend', 'late']),
  async open(cluster, options) {
    const pool = new PrimaryReplicaPool({ ...nodesOf(cluster), ...options })
    const db = new Sequelize({
      ...SETS_NOTHING,
      dialect: 'postgres',
      dialectModule: pool.driver,
      logging: false,
      // What is left in the session of an idle client is soon closed with it.
      pool: { max: 50, idle: 50, evict: 20 },
    } as object)
    const Item = db.define('item', { name: DataTypes.TEXT }, { tableName: 'item', timestamps: false })
    const statements = (transaction?: Transaction): Statements => {
      const within = transaction === undefined ? {} : { transaction }
      return {
        async names() {
          return (await Item.findAll({ order: ['id'], ...within })).map((item) => item.get('name') as string)
        },
        add: (name) => Item.create({ name }, within),
        async rename(from, to) {
          return (await Item.update({ name: to }, { where: { name: from }, ...within }))[0]
        },
        async run(text, values) {
          const [rows] = await db.query(text, { ...within, ...(values && { bind: [...values] }) })
          return (Array.isArray(rows) ? rows : []) as Row[]
        },
      }
    }
    return {
      ...statements(),
      control: pool,
      transaction: (work) => db.transaction((transaction) => work(statements(transaction))),
      async close() {
        await db.close()
        await pool.end()
      },
      async lend(work) {
        const { connectionManager } = db as unknown as { connectionManager: ConnectionManager }
        const client = await connectionManager.getConnection({ type: 'write' })
        try {
          return await work(client)
        } finally {
          connectionManager.releaseConnection(client)
        }
      },
      connection: missing,
      readOnlyTransaction: missing,
      stream: missing,
      named: missing,
      marked: missing,
      lazy: missing,
    }
  },
}

interface ConnectionManager {
  getConnection(options: object): Promise<pg.PoolClient>
  releaseConnection(client: pg.PoolClient): void
}
