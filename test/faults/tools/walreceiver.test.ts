import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type PostgresCluster, type PostgresNode, startPostgresCluster } from 'write-pinning/testing'
import { cutReceiver, freezeReceiver } from '../../support/walreceiver.ts'

let cluster: PostgresCluster
let replica: PostgresNode
let other: PostgresNode

beforeAll(async () => {
  cluster = await startPostgresCluster({ replicas: 2 })
  ;[replica, other] = cluster.replicas as [PostgresNode, PostgresNode]
  await cluster.primary.query('create table note (id serial)')
})

beforeEach(() => cluster.waitForCatchup())

afterAll(() => cluster.stop())

const count = async (node: PostgresNode) =>
  (await node.query<{ n: number }>('select count(*)::int as n from note'))[0]?.n

/** Writes a row, and waits until the other replica has it. */
async function writeAndWait(): Promise<void> {
  await cluster.primary.query('insert into note default values')
  const written = await count(cluster.primary)
  await vi.waitFor(async () => expect(await count(other)).toBe(written))
}

test('a receiver that is cut stays cut, while the replica answers, and catches up once it is restored', async () => {
  const before = await count(replica)
  const restore = await cutReceiver(replica)
  for (let round = 0; round < 10; round++) await writeAndWait()
  expect(await count(replica)).toBe(before)
  await restore()
  await cluster.waitForCatchup()
  expect(await count(replica)).toBe(await count(cluster.primary))
})

test('a receiver that is frozen calls itself streaming and receives nothing, until it is thawed', async () => {
  const before = await count(replica)
  const thaw = await freezeReceiver(replica)
  for (let round = 0; round < 10; round++) await writeAndWait()
  expect(await count(replica)).toBe(before)
  expect(await replica.query('select status from pg_stat_wal_receiver')).toEqual([{ status: 'streaming' }])
  thaw()
  await cluster.waitForCatchup()
  expect(await count(replica)).toBe(await count(cluster.primary))
})
