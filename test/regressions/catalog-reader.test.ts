import { sql } from 'kysely'
import pg from 'pg'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { useReplica } from 'write-pinning'
import type { PoolLike } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { openDatabase, poolOf } from '../support/cluster.ts'
import { askedBy } from '../support/own-questions.ts'
import { whereAndWhyInRequest } from '../support/request.ts'
import { clientsOf, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'

const { cluster } = useShop()
let replica: PostgresNode

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  await cluster.primary.query('create function declared() returns int language sql stable as $$ select 1 $$')
  await cluster.primary.query('create role limited login')
  await cluster.primary.query('grant select on item to limited')
  await cluster.waitForCatchup()
})

const callDeclared = (db: ReturnType<typeof openDatabase>) =>
  whereAndWhyInRequest(() => sql`select declared()`.execute(db))
const took = async (fn: () => Promise<unknown>) => {
  const start = performance.now()
  await fn()
  return performance.now() - start
}

describe.each(['primary', 'replica'] as const)('with its %s frozen', (which) => {
  test('a database answers from the other node, and is destroyed in about a second', async () => {
    const frozen = which === 'primary' ? cluster.primary : replica
    const other = which === 'primary' ? replica : cluster.primary
    const db = openDatabase(cluster)
    await frozen.freeze()
    try {
      const read = () => db.selectFrom('item').selectAll().execute()
      // How late a replica is nobody knows before it is known that the primary does not answer, after two probes.
      const atMostMs = which === 'primary' ? 1_500 : 1_000
      expect(await took(() => (which === 'primary' ? useReplica(read) : read()))).toBeLessThan(atMostMs)
      expect(await took(() => db.destroy())).toBeLessThan(2_000)
    } finally {
      await frozen.thaw()
    }
    await vi.waitFor(async () => expect(await clientsOf(other, 'write-pinning')).toEqual([]))
  })
})

test('a server that freezes before the connection is closed does not hold the database up', async () => {
  let connected: (() => void) | undefined
  class Slow extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: it is overloaded.
    override async query(...args: any[]): Promise<any> {
      // biome-ignore lint/suspicious/noExplicitAny: as above.
      const result = await (super.query as any)(...args)
      if (askedBy(args).text.includes('pg_class')) {
        await cluster.primary.freeze()
        connected?.()
      }
      return result
    }
  }
  const frozen = new Promise<void>((resolve) => {
    connected = resolve
  })
  const primary = Object.assign(new pg.Pool({ connectionString: cluster.primary.connectionString }), {
    Client: Slow,
  })
  const db = openDatabase(cluster, { primary: primary as unknown as PoolLike })
  try {
    await useReplica(() => db.selectFrom('item').selectAll().execute())
    await frozen
    expect(await took(() => db.destroy())).toBeLessThan(3_000)
  } finally {
    await cluster.primary.thaw()
  }
})

test('a database that was not up at first is asked again for its functions', async () => {
  let isUp = false
  class Late extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: it is overloaded.
    override connect(...args: any[]): any {
      // The pool's own clients are connected with a callback.
      // biome-ignore lint/suspicious/noExplicitAny: as above.
      if (isUp || args.length > 0) return (super.connect as any)(...args)
      return Promise.reject(new Error('not up yet'))
    }
  }
  const late = (node: PostgresNode) => Object.assign(poolOf(node), { Client: Late }) as unknown as PoolLike
  const db = openDatabase(cluster, { primary: late(cluster.primary), replicas: [late(replica)] })
  const timers = vi.spyOn(globalThis, 'setTimeout')
  expect(await callDeclared(db)).toEqual(['primary: function'])
  const rest = await vi.waitFor(() => {
    const found = timers.mock.calls.find(([, ms = 0]) => ms > 10_000)
    if (found === undefined) throw new Error('Nobody will ask again.')
    return found[0] as () => void
  })
  timers.mockRestore()
  isUp = true
  const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 60_000)
  rest()
  now.mockRestore()
  await vi.waitFor(async () => expect(await callDeclared(db)).toEqual(['replica: read']))
  await db.destroy()
})

test('a role that may not read the catalog is served with what is known of PostgreSQL itself', async () => {
  await cluster.primary.query('revoke select on pg_proc from public')
  await cluster.waitForCatchup()
  try {
    const url = (node: PostgresNode) => node.connectionString.replace('postgres@', 'limited@')
    const db = openDatabase(cluster, { primary: url(cluster.primary), replicas: [url(replica)] })
    expect(await whereAndWhyInRequest(() => sql`select count(*) from item`.execute(db))).toEqual([
      'replica: read',
    ])
    expect(await callDeclared(db)).toEqual(['primary: function'])
    await db.destroy()
  } finally {
    await cluster.primary.query('grant select on pg_proc to public')
    await cluster.waitForCatchup()
  }
})

test('a pool of one connection is never the catalog’s, and one that cannot make clients serves as well', async () => {
  const one = (node: PostgresNode) => namedPool(node, 'one', { max: 1 })
  const bare = (node: PostgresNode) => {
    const pool = one(node)
    return { connect: () => pool.connect(), end: () => pool.end() } as PoolLike
  }
  for (const form of [one, bare]) {
    const db = openDatabase(cluster, { primary: form(cluster.primary), replicas: [form(replica)] })
    const reads = Array.from({ length: 10 }, () =>
      useReplica(() => db.selectFrom('item').selectAll().execute()),
    )
    await Promise.all([...reads, ...reads.map(() => sql`select nextval('item_id_seq')`.execute(db))])
    await db.destroy()
  }
})

test('a database may be destroyed before its first query, and while its catalog is being read', async () => {
  await openDatabase(cluster).destroy()
  const db = openDatabase(cluster)
  await db.selectFrom('item').selectAll().execute()
  await db.destroy()
  expect(await clientsOf(cluster.primary, 'write-pinning')).toEqual([])
})
