import { createHash } from 'node:crypto'
import { PrismaPg } from '@prisma/adapter-pg'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { type Client, missing, nodesOf, type Row, type Statements } from './client.ts'
import { PrismaClient, type PrismaStatements } from './prisma-client.ts'

export const prisma: Client = {
  name: 'Prisma',
  has: new Set(['named', 'lazy']),
  async open(cluster, options) {
    const pool = new PrimaryReplicaPool({ ...nodesOf(cluster), ...options })
    const open = (settings: ConstructorParameters<typeof PrismaPg>[1]) =>
      new PrismaClient({ adapter: new PrismaPg(pool, settings) })
    const client = open({})
    const naming = open({
      statementNameGenerator: ({ sql }) => createHash('sha1').update(sql).digest('hex'),
    })
    return {
      ...statements(client),
      control: pool,
      transaction: (work) => client.$transaction((inside) => work(statements(inside))),
      async close() {
        await Promise.all([client.$disconnect(), naming.$disconnect()])
        await pool.end()
      },
      named: async (name) => (await naming.item.findMany({ where: { name } })).map((item) => item.name),
      lazy: () => client.item.findMany({}),
      connection: missing,
      readOnlyTransaction: missing,
      stream: missing,
      marked: missing,
      lend: missing,
    }
  },
}

function statements(on: PrismaStatements): Statements {
  return {
    async names() {
      return (await on.item.findMany({ orderBy: { id: 'asc' } })).map(({ name }) => name)
    },
    // What Prisma gives is sent once it is awaited.
    add: async (name) => await on.item.create({ data: { name } }),
    async rename(from, to) {
      return (await on.item.updateMany({ where: { name: from }, data: { name: to } })).count
    },
    run: async (text, values = []) => await on.$queryRawUnsafe<Row[]>(text, ...values),
  }
}
