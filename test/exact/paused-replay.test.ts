import { beforeAll, describe, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { seesOn } from '../support/exact.ts'
import type { UserAgent } from '../support/http.ts'
import { useShop } from '../support/shop.ts'

// What a replica has not replayed, it does not serve to whoever wrote it; what it has, it serves, however young the pin is.
const { cluster, db, serveShop } = useShop({ replicas: 2 })
let first: PostgresNode
let openAgent: () => UserAgent

beforeAll(async () => {
  first = cluster.replicas[0] as PostgresNode
  ;({ openAgent } = await serveShop(db, { pinningSeconds: 60 }))
})

/** Reads so often; gives how often each node served, and fails where the item was not there. */
async function readTimes(agent: UserAgent, name: string, times = 20): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (let read = 0; read < times; read++) {
    const [isThere, node] = await seesOn(agent, name)
    expect(isThere, node).toBe(true)
    counts[node] = (counts[node] ?? 0) + 1
  }
  return counts
}

const SERVED = expect.any(Number)

describe('reads under an exact pin', () => {
  test('are served by the replica that replays, while the other is paused', async () => {
    const agent = openAgent()
    await first.pauseReplay()
    await agent.post('/items/one')
    await vi.waitFor(async () => expect((await seesOn(agent, 'one'))[1]).toBe('replica-2'), {
      timeout: 10_000,
    })
    expect(await readTimes(agent, 'one')).toEqual({ 'replica-2': 20 })
    await first.resumeReplay()
  })

  test('are served by the primary while both are paused, and by replicas once they have caught up', async () => {
    const agent = openAgent()
    for (const replica of cluster.replicas) await replica.pauseReplay()
    await agent.post('/items/both')
    expect(await readTimes(agent, 'both')).toEqual({ primary: 20 })
    // Nobody else has to wait for them.
    expect((await seesOn(openAgent(), 'both'))[1]).toMatch(/^replica-/)
    for (const replica of cluster.replicas) await replica.resumeReplay()
    await cluster.waitForCatchup()
    const [isThere, node] = await seesOn(agent, 'both')
    expect([isThere, node]).toEqual([true, expect.stringMatching(/^replica-/)])
    expect(await readTimes(agent, 'both', 40)).toEqual({ 'replica-1': SERVED, 'replica-2': SERVED })
  })
})
