import pg from 'pg'
import { DataSource, type EntityManager, EntitySchema, type QueryRunner } from 'typeorm'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { type Ability, type Client, missing, nodesOf, type Statements } from './client.ts'

const Item = new EntitySchema<{ id: number; name: string }>({
  name: 'item',
  columns: { id: { type: 'int', primary: true, generated: 'increment' }, name: { type: 'text' } },
})

export const typeorm = typeormBy('TypeORM', [], (pool) => ({
  // It makes its pool by itself, of what its driver calls `Pool`.
  driver: {
    ...pg,
    Pool: function Pool() {
      return pool
    },
  },
}))

/** The same with a pool of its own, of clients that are routed. */
export const typeormByDriver = typeormBy('TypeORM by driver', ['late'], (pool) => ({
  driver: pool.driver,
  poolSize: 50,
  // What is left in the session of an idle client is soon closed with it.
  extra: { idleTimeoutMillis: 50 },
}))

function typeormBy(
  name: string,
  abilities: readonly Ability[],
  by: (pool: PrimaryReplicaPool) => object,
): Client {
  return {
    name,
    has: new Set<Ability>(['connection', 'stream', 'lend', ...abilities]),
    async open(cluster, options) {
      const pool = new PrimaryReplicaPool({ ...nodesOf(cluster), ...options })
      const source = new DataSource({ type: 'postgres', ...by(pool), entities: [Item], logging: false })
      await source.initialize()
      const withRunner = async <T>(work: (runner: QueryRunner) => Promise<T>): Promise<T> => {
        const runner = source.createQueryRunner()
        try {
          return await work(runner)
        } finally {
          await runner.release()
        }
      }
      return {
        ...statements(source.manager, (work) => withRunner(work)),
        control: pool,
        transaction: (work) => source.transaction((manager) => work(inside(manager.queryRunner))),
        async close() {
          await source.destroy()
          if (!pool.ending) await pool.end()
        },
        connection: (work) => withRunner((runner) => work(inside(runner))),
        async *stream(text) {
          const runner = source.createQueryRunner()
          try {
            yield* await runner.stream(text)
          } finally {
            await runner.release()
          }
        },
        lend: (work) => withRunner(async (runner) => work(await runner.connect())),
        readOnlyTransaction: missing,
        named: missing,
        marked: missing,
        lazy: missing,
      }
    },
  }
}

type WithRunner = <T>(work: (runner: QueryRunner) => Promise<T>) => Promise<T>

function inside(runner: QueryRunner | undefined): Statements {
  if (runner === undefined) throw new Error('a transaction of TypeORM has a runner')
  return statements(runner.manager, (work) => work(runner))
}

function statements(manager: EntityManager, withRunner: WithRunner): Statements {
  const items = manager.getRepository(Item)
  return {
    async names() {
      return (await items.find({ order: { id: 'asc' } })).map(({ name }) => name)
    },
    // It begins a transaction, where there is none.
    add: (name) => items.save({ name }),
    async rename(from, to) {
      return (await items.update({ name: from }, { name: to })).affected ?? 0
    },
    run: (text, values) =>
      withRunner(async (runner) => (await runner.query(text, values && [...values], true)).records),
  }
}
