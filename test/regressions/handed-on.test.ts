import { beforeAll, expect, test, vi } from 'vitest'
import { usePrimary } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { inRequest } from '../support/request.ts'
import { inUse, namedPool, terminateClients } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// What was routed, waited, and belongs elsewhere by then; and statements that come when their connection is somebody else's.
const { cluster } = useShop()
let replica: PostgresNode

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  await cluster.primary.query("insert into item (name) select 'item ' || i from generate_series(1, 100000) i")
  await cluster.waitForCatchup()
})

const WAIT = { timeout: 20_000, interval: 10 }

test('a stream that waited for a turn on the primary, and is served by a replica, gives no row twice when that is lost', async () => {
  await using watched = await Watched.open(cluster, {
    primary: namedPool(cluster.primary, 'handed-on', { max: 1 }),
    replicas: [namedPool(replica, 'handed-on')],
  })
  await watched.untilEligible('replica-1')
  watched.dialect.drain('replica-1')
  let letGo = () => {}
  const held = inRequest(() =>
    watched.db.connection().execute(async (one) => {
      await one.selectFrom('item').select('id').limit(1).execute()
      await new Promise<void>((resolve) => {
        letGo = resolve
      })
    }),
  )
  await vi.waitFor(() => expect(watched.dialect.status().spilled.running).toBe(1), WAIT)
  const ids: number[] = []
  const streaming = inRequest(async () => {
    for await (const { id } of watched.db.selectFrom('item').select('id').stream(10)) {
      if (ids.push(id) === 50) await terminateClients(replica)
    }
  })
  const failed = expect(streaming).rejects.toThrow('Connection terminated unexpectedly')
  await vi.waitFor(() => expect(watched.dialect.status().spilled.waiting).toBe(1), WAIT)
  watched.dialect.resume('replica-1')
  await failed
  letGo()
  await held
  expect(new Set(ids).size).toBe(ids.length)
})

test('a statement that comes after its connection was released keeps no client, whoever has that by then', async () => {
  const primary = namedPool(cluster.primary, 'handed-on', { max: 3 })
  await using watched = await Watched.open(cluster, { primary })
  const { db } = watched
  const read = (on: typeof db) => usePrimary(() => on.selectFrom('item').select('id').limit(1).execute())
  for (let round = 0; round < 5; round++) {
    let late: typeof db | undefined
    await db.connection().execute(async (one) => {
      late = one
    })
    const left = late as typeof db
    await Promise.all([read(left), read(db), read(db)])
    await db.connection().execute(async (one) => {
      await Promise.all([read(one), read(left), read(one)])
    })
  }
  expect(inUse(primary)).toBe(0)
  expect(watched.node('primary').busy).toBe(0)
})
