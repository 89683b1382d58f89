import { beforeAll, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { seesOn, serveShop } from '../support/exact.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// A replica whose process crashes comes up again by itself, with the start time that it had, and at first behind where it was.
const { cluster } = useShop()
let replica: PostgresNode

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
  // It begins anew from its last restart point, which is that of a checkpoint of the primary's.
  await cluster.primary.query('checkpoint')
  await cluster.waitForCatchup()
  await replica.query('checkpoint')
})

/** Has one of the server's processes die as by the kernel's hand; resolves when it takes connections again. */
async function crash(node: PostgresNode): Promise<void> {
  const [own] = await node.query<{ pid: number }>('select pg_backend_pid() as pid')
  process.kill(own?.pid ?? 0, 'SIGKILL')
  await vi.waitFor(() => node.query('select 1'), { timeout: 10_000, interval: 10 })
}

test('a replica that crashed is believed nothing of what it had replayed before', async () => {
  await using watched = await Watched.open(cluster)
  const { app, openAgent } = await serveShop(watched.db)
  const agent = openAgent()
  await agent.post('/items/crash')
  await cluster.waitForCatchup()
  expect(await seesOn(agent, 'crash')).toEqual([true, 'replica-1'])
  // So that what it replays anew is not there yet: commits are delayed as soon as the server is consistent.
  await replica.setApplyDelay(3_600_000)
  const startedAt = () => replica.query('select pg_postmaster_start_time()::text as at')
  const before = await startedAt()
  await crash(replica)
  expect(await startedAt()).toEqual(before)
  expect(await replica.query("select from item where name = 'crash'")).toEqual([])
  await watched.untilEligible('replica-1')
  // Whoever has not written is served by it, as by any replica that is late.
  expect((await seesOn(openAgent(), 'crash'))[1]).toBe('replica-1')
  expect(await seesOn(agent, 'crash')).toEqual([true, 'primary'])
  await replica.setApplyDelay(0)
  await app.close()
})
