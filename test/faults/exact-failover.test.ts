import { sql } from 'kysely'
import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { heldBy, pinOfAgent, seesOn } from '../support/exact.ts'
import type { UserAgent } from '../support/http.ts'
import { type Load, startLoad } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { useShop } from '../support/shop.ts'
import { cutReceiver, follow } from '../support/walreceiver.ts'
import { Watched } from '../support/watched.ts'

// The primary dies with writes that no replica ever received. Other writes soon reach the positions of their pins. A
// replica that is as far does not have the writes that those pins mean.
const AGENTS = 20
const { cluster, serveShop } = useShop({ replicas: 2, isOfEachTest: true })
let primary: PostgresNode
let first: PostgresNode
let second: PostgresNode
let openAgent: () => UserAgent

beforeEach(async () => {
  primary = cluster.primary
  ;[first, second] = cluster.replicas as [PostgresNode, PostgresNode]
})

async function serve(watched: Watched): Promise<void> {
  const shop = await serveShop(watched.db, { pinningSeconds: 60 }, async (routes) => {
    routes.get<{ Params: { name: string } }>('/where/:name', async ({ params: { name } }) => {
      const { rows } = await sql<{ port: number }>`
        select inet_server_port() as port, (select count(*) from item where name = ${name})`.execute(
        watched.db,
      )
      return { node: cluster.nodes.find(({ port }) => port === rows[0]?.port)?.name }
    })
  })
  openAgent = shop.openAgent
}

/** Makes user agents that have each written something that only the primary has. */
async function writeWhatIsLost(): Promise<UserAgent[]> {
  const agents = Array.from({ length: AGENTS }, openAgent)
  for (const [index, agent] of agents.entries()) {
    await agent.post(`/items/lost-${index}`)
    expect(heldBy(await pinOfAgent(agent))).toEqual(expect.any(BigInt))
  }
  return agents
}

/** Reads as each user agent in turn. Gives the name of the node that served, or the status if none did. */
function readsOf(agents: readonly UserAgent[]): Load<string> {
  let turn = 0
  return startLoad(async () => {
    const index = turn++ % agents.length
    const { status, json } = await (agents[index] as UserAgent).get(`/where/lost-${index}`)
    return status === 200 ? json().node : String(status)
  })
}

/**
 * Writes to `node` until it is far beyond the position of the old primary, and waits until `follower` has all of it.
 */
async function writeBeyond(node: PostgresNode, follower: PostgresNode): Promise<void> {
  await node.query("insert into item (name) select 'new ' || i from generate_series(1, 20000) as i")
  const [{ lsn } = { lsn: '' }] = await node.query<{ lsn: string }>(
    'select pg_current_wal_flush_lsn()::text as lsn',
  )
  await vi.waitFor(
    async () => {
      const rows = await follower.query('select where pg_last_wal_replay_lsn() >= $1::pg_lsn', [lsn])
      expect(rows).toHaveLength(1)
    },
    { timeout: 20_000, interval: 10 },
  )
}

describe.each([{ failover: true }, { failover: false }])('with %o', ({ failover }) => {
  test('no token of before the promotion is honoured by its position', async () => {
    await using watched = await Watched.open(cluster, { failover })
    await serve(watched)
    await watched.untilEligible(first.name, second.name)
    // The promoted replica must not be behind the one that follows it. So that one is cut off first.
    await cutReceiver(second)
    await cutReceiver(first)
    const agents = await writeWhatIsLost()
    const reads = readsOf(agents)
    await more(reads, 50)
    const killedMs = reads.nowMs()
    // Counted before the kill, because reads that are under way then may be lost with the primary.
    const servedBefore = reads.soFar().servedBy()
    await primary.kill()
    await first.promote()
    await follow(second, first)
    await writeBeyond(first, second)
    const beyondMs = reads.nowMs()
    await more(reads, 400)
    if (failover) {
      await vi.waitFor(() => expect(watched.node(first.name).role).toBe('primary'), { timeout: 20_000 })
      await watched.untilEligible(second.name)
    }
    const knownMs = reads.nowMs()
    await more(reads, 200)
    const report = await reads.stop()
    console.info(
      'reads by tokens of lost writes, from the death of the primary on:',
      report.servedBy(killedMs),
    )
    expect(report.failures()).toEqual([])
    expect(servedBefore).toEqual({ primary: expect.any(Number) })
    expect(report.servedBy(beyondMs)).not.toHaveProperty('replica-2')
    expect(report.servedBy(killedMs)).not.toHaveProperty('replica-2')
    expect(Object.keys(report.servedBy(knownMs))).toEqual([failover ? 'replica-1' : '500'])
    if (!failover) return
    // The position of a write from now on counts again.
    const agent = openAgent()
    await agent.post('/items/later')
    await vi.waitFor(async () => expect(await seesOn(agent, 'later')).toEqual([true, 'replica-2']), {
      timeout: 10_000,
    })
  })
})

test('a replica that has replayed what the new primary never wrote serves nobody', async () => {
  await using watched = await Watched.open(cluster, { failover: true })
  await serve(watched)
  await watched.untilEligible(first.name, second.name)
  await cutReceiver(first)
  const agents = await writeWhatIsLost()
  await vi.waitFor(async () =>
    expect(await second.query("select from item where name = 'lost-19'")).toHaveLength(1),
  )
  const reads = readsOf(agents)
  await more(reads, 50)
  await primary.kill()
  await first.promote()
  await follow(second, first)
  await vi.waitFor(() => expect(watched.node(first.name).role).toBe('primary'), { timeout: 20_000 })
  const switchedMs = reads.nowMs()
  const others = startLoad(async () => (await openAgent().get('/where/anything')).json().node as string)
  await more(reads, 300)
  await more(others, 100)
  await first.query("insert into item (name) select 'new ' || i from generate_series(1, 20000) as i")
  await more(reads, 300)
  const [report, other] = [await reads.stop(), await others.stop()]
  console.info('reads beside a diverged replica:', report.servedBy(switchedMs), other.servedBy())
  expect(Object.keys(report.servedBy(switchedMs))).toEqual(['replica-1'])
  expect(Object.keys(other.servedBy())).toEqual(['replica-1'])
  expect(watched.node(second.name).isFit).toBe(false)
})
