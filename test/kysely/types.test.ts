import { Kysely } from 'kysely'
import pg from 'pg'
import { expectTypeOf, test } from 'vitest'
import { type NodeScope, type Scope, useNode, usePrimary, useReplica, withoutPin } from 'write-pinning'
import {
  type NodeInput,
  type PrimaryReplicaDialectOptions as Options,
  PrimaryReplicaDialect,
} from 'write-pinning/kysely'
import type { Database } from '../support/cluster.ts'

// Whatever is wrong in here does not compile; nothing of it runs, but for what vitest wants to see.
const url = 'postgres://127.0.0.1:1/shop'

test('a node is a pool, its configuration, a connection string, a function, or one of these with a name', () => {
  expectTypeOf<pg.Pool>().toExtend<NodeInput>()
  expectTypeOf<pg.PoolConfig>().toExtend<NodeInput>()
  expectTypeOf<string>().toExtend<NodeInput>()
  expectTypeOf<() => pg.Pool>().toExtend<NodeInput>()
  expectTypeOf<() => Promise<pg.Pool>>().toExtend<NodeInput>()
  expectTypeOf<{ pool: string }>().toExtend<NodeInput>()
  expectTypeOf<{ name: string; pool: () => Promise<pg.Pool> }>().toExtend<NodeInput>()
  // An environment variable; where it is not set, the dialect refuses the node.
  expectTypeOf<string | undefined>().toExtend<NodeInput>()
  const wrong = () => {
    const nodes: NodeInput[] = []
    // @ts-expect-error: a number is no node
    nodes.push(7)
    // @ts-expect-error: a name is a string
    nodes.push({ name: 7, pool: url })
    // @ts-expect-error: a node with a name has a pool
    nodes.push({ name: 'reporting' })
    // @ts-expect-error: `pg` has no such setting
    nodes.push({ connectionUrl: url })
  }
  expectTypeOf(wrong).toBeFunction()
})

test('the options are what they are, and a typing error does not compile', () => {
  expectTypeOf<{ primary: string; replicas: [] }>().toExtend<Options>()
  expectTypeOf<Options['withoutContext']>().toEqualTypeOf<'primary' | 'replica' | undefined>()
  expectTypeOf<Options['primaryTables']>().toEqualTypeOf<readonly string[] | undefined>()
  expectTypeOf<ConstructorParameters<typeof PrimaryReplicaDialect>>().toEqualTypeOf<[options: Options]>()
  const dialects = () => [
    new PrimaryReplicaDialect({ primary: url, replicas: [url, new pg.Pool({ connectionString: url })] }),
    // @ts-expect-error: the replicas are missing
    new PrimaryReplicaDialect({ primary: url }),
    // @ts-expect-error: a typing error
    new PrimaryReplicaDialect({ primary: url, replica: [url] }),
    new PrimaryReplicaDialect({
      primary: process.env.DATABASE_URL,
      replicas: [{ pool: process.env.REPLICA_URL }],
    }),
    // @ts-expect-error: no such place
    new PrimaryReplicaDialect({ primary: url, replicas: [], withoutContext: 'both' }),
    // @ts-expect-error: Kysely's `pool` is here a node's
    new PrimaryReplicaDialect({ primary: url, replicas: [], pool: url }),
    new PrimaryReplicaDialect({
      primary: { name: 'main', pool: url, maxLifetimeSeconds: 600 },
      replicas: [{ pool: url, weight: 2, maxLagMs: 1_000 }],
      choose: (candidates) => candidates[0] ?? 'replica-1',
      lagSource: async ({ query }) => (await query<{ ms: number }>('select 1 as ms'))[0]?.ms,
    }),
    // @ts-expect-error: no such choice
    new PrimaryReplicaDialect({ primary: url, replicas: [], choose: 'fastest' }),
    // @ts-expect-error: milliseconds are a number
    new PrimaryReplicaDialect({ primary: url, replicas: [], maxLagMs: '1s' }),
  ]
  expectTypeOf(dialects).toBeFunction()
})

test('a scope gives what its function gives', () => {
  expectTypeOf(usePrimary(() => 7)).toEqualTypeOf<number>()
  expectTypeOf(useReplica(async () => 'text')).toEqualTypeOf<Promise<string>>()
  expectTypeOf(useNode('reporting', () => null)).toEqualTypeOf<null>()
  expectTypeOf(withoutPin(() => {})).toEqualTypeOf<void>()
  const db = new Kysely<Database>({ dialect: new PrimaryReplicaDialect({ primary: url, replicas: [] }) })
  const find = (id: number) => db.selectFrom('item').selectAll().where('id', '=', id).executeTakeFirst()
  const found = () => usePrimary(() => find(1))
  expectTypeOf(found).returns.resolves.toEqualTypeOf<{ id: number; name: string } | undefined>()
  expectTypeOf(usePrimary).toEqualTypeOf<Scope>()
  expectTypeOf(useNode).toEqualTypeOf<NodeScope>()
})

test('a wrapped function has the type of the function', () => {
  const greet = (name: string, times = 1) => `hello ${name}`.repeat(times)
  expectTypeOf(usePrimary.wrap(greet)).toEqualTypeOf<typeof greet>()
  expectTypeOf(useNode.wrap('reporting', greet)).toEqualTypeOf<typeof greet>()
  const method = function (this: { name: string }, id: number): Promise<string> {
    return Promise.resolve(this.name + id)
  }
  expectTypeOf(useReplica.wrap(method)).toEqualTypeOf<typeof method>()
  const identity = <T>(value: T): T => value
  const wrappedIdentity = withoutPin.wrap(identity)
  expectTypeOf(() => wrappedIdentity(7 as number)).returns.toEqualTypeOf<number>()
  const wrongly = () => [
    // @ts-expect-error: a scope takes a function
    usePrimary('item'),
    // @ts-expect-error: a node has a name
    useNode(() => 1),
    // @ts-expect-error: and then a function
    useNode('reporting'),
    // @ts-expect-error: the wrapped function takes what the function takes
    usePrimary.wrap(greet)(7),
  ]
  expectTypeOf(wrongly).toBeFunction()
})
