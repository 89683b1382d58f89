import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useReplica } from 'write-pinning'
import { type PostgresCluster, type PostgresNode, startPostgresCluster } from 'write-pinning/testing'
import { Watched, watchedPool } from '../support/watched.ts'

let cluster: PostgresCluster
let other: PostgresCluster
let startedSeconds: number

const nowSeconds = () => Math.floor(Date.now() / 1_000)

beforeAll(async () => {
  startedSeconds = nowSeconds()
  ;[cluster, other] = await Promise.all([
    startPostgresCluster({ replicas: 2 }),
    startPostgresCluster({ replicas: 1 }),
  ])
})

afterAll(() => Promise.all([cluster?.stop(), other?.stop()]))

async function identifierOf(node: PostgresNode): Promise<bigint> {
  const [row] = await node.query<{ id: string }>(
    'select system_identifier::text as id from pg_control_system()',
  )
  return BigInt(row?.id ?? '')
}

const identifiersOf = async ({ nodes }: PostgresCluster) =>
  new Set(await Promise.all(nodes.map((node) => identifierOf(node))))

test('each test cluster has a system identifier of its own, which its nodes share', async () => {
  const identifiers = await identifiersOf(cluster)
  const others = await identifiersOf(other)
  expect(identifiers.size).toBe(1)
  expect(others.size).toBe(1)
  expect([...identifiers]).not.toEqual([...others])
})

test('its upper half says when the cluster was made, as that of initdb does', async () => {
  const madeSeconds = Number((await identifierOf(cluster.primary)) >> 32n)
  expect(madeSeconds).toBeGreaterThanOrEqual(startedSeconds)
  expect(madeSeconds).toBeLessThanOrEqual(nowSeconds())
})

test('it is the same after a restart, after a crash, and on a replica that was promoted', async () => {
  await using own = await startPostgresCluster({ replicas: 2 })
  const before = await identifierOf(own.primary)
  const [replica, killed] = own.replicas as [PostgresNode, PostgresNode]
  await own.primary.restart()
  expect(await identifierOf(own.primary)).toBe(before)
  await Promise.all([own.primary.kill(), killed.kill()])
  await Promise.all([own.primary.start(), killed.start()])
  await own.primary.query('create table note ()')
  await own.waitForCatchup()
  expect(await identifiersOf(own)).toEqual(new Set([before]))
  await replica.promote()
  expect(await identifierOf(replica)).toBe(before)
})

test('a replica that is a node of another test cluster serves no reads, because it is of another cluster', async () => {
  const [stranger] = other.replicas as [PostgresNode]
  await using watched = await Watched.open(cluster, {
    replicas: [{ name: 'stranger', pool: watchedPool(stranger) }],
  })
  await watched.untilUnfit('other-cluster', 'stranger')
  const question = sql<{ port: number }>`select current_setting('port')::int as port`
  const { rows } = await useReplica(() => question.execute(watched.db))
  expect(rows).toEqual([{ port: cluster.primary.port }])
})

test('a cluster whose sessions are serializable by default starts, pauses replay and catches up', async () => {
  const settings = { default_transaction_isolation: 'serializable' }
  await using own = await startPostgresCluster({ replicas: 1, settings })
  const [replica] = own.replicas as [PostgresNode]
  await replica.pauseReplay()
  await own.primary.query('create table note ()')
  await replica.resumeReplay()
  await own.waitForCatchup()
})
