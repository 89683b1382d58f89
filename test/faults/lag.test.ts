import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { type Load, readsOf, startLoad, writesOf } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { useShop } from '../support/shop.ts'
import { cutReceiver, freezeReceiver } from '../support/walreceiver.ts'
import type { Watched } from '../support/watched.ts'

// A replica answers, but does not follow its primary any more.
const MAX_LAG_MS = 1_500
/**
 * One probe of the primary finds the position that the replica does not reach. A later probe of the replica finds the
 * lag.
 */
const PROBES_MS = 2 * 1_000

const { cluster, watch } = useShop({ replicas: 2 })
let replica: PostgresNode
let watched: Watched
let reads: Load<string>

beforeAll(async () => {
  replica = cluster.replicas[0] as PostgresNode
})

beforeEach(async () => {
  watched = await watch({ maxLagMs: MAX_LAG_MS })
  reads = startLoad(readsOf(cluster, watched.db))
  await more(reads)
})

const faults: { what: string; make: () => Promise<() => unknown> }[] = [
  {
    what: 'whose replay is paused',
    make: async () => {
      await replica.pauseReplay()
      return () => replica.resumeReplay()
    },
  },
  { what: 'whose receiver is cut off', make: () => cutReceiver(replica) },
  { what: 'whose receiver is frozen', make: () => freezeReceiver(replica) },
]

describe('a replica', () => {
  for (const { what, make } of faults) {
    test(`${what} serves no more reads when it is later than maxLagMs, and again within 1 s of catching up`, async () => {
      const writes = startLoad(writesOf(watched.db), { perSecond: 20 })
      await more(writes, 10)
      const heal = await make()
      const faultMs = performance.now()
      const unfitMs = (await watched.changed('replica-1', 'unfit', faultMs)) - faultMs
      const because = watched.dialect.status().nodes[1]?.because
      const goneMs = reads.nowMs()
      await more(reads, 200)
      const healedMs = reads.nowMs()
      await heal()
      await cluster.waitForCatchup()
      const caughtUpMs = performance.now()
      const fitMs = (await watched.changed('replica-1', 'fit', faultMs)) - caughtUpMs
      await more(reads)
      const [read, wrote] = [await reads.stop(), await writes.stop()]
      expect([...read.failures(), ...wrote.failures()]).toEqual([])
      expect(because).toBe('lagging')
      expect(unfitMs).toBeLessThan(MAX_LAG_MS + PROBES_MS + 500)
      expect(fitMs).toBeLessThan(1_000)
      expect(read.servedBy(goneMs, healedMs)).toEqual({ 'replica-2': expect.any(Number) })
      expect(watched.changesOf('replica-2')).not.toContain('unfit')
    })
  }
})

describe('an idle primary', () => {
  test('makes no replica look late, however long nothing is written', async () => {
    await watched.close()
    watched = await watch({ maxLagMs: 1_000, probeIntervalMs: 100 })
    await cluster.primary.query("insert into item (name) values ('the last one')")
    await more(reads, 400)
    // From here on, the primary's position is that of a page header.
    await cluster.primary.query('select pg_switch_wal()')
    await more(reads, 400)
    expect(watched.changesOf('replica-1')).toEqual(['up', 'fit'])
    expect(watched.changesOf('replica-2')).toEqual(['up', 'fit'])
    await reads.stop()
  })

  test('that writes from time to time makes no replica look late', async () => {
    await watched.close()
    watched = await watch({ maxLagMs: 1_000, probeIntervalMs: 100 })
    const rare = startLoad(writesOf(watched.db), { perSecond: 0.7 })
    await more(rare, 4)
    expect((await rare.stop()).failures()).toEqual([])
    expect(watched.changesOf('replica-1')).toEqual(['up', 'fit'])
    expect(watched.changesOf('replica-2')).toEqual(['up', 'fit'])
    await reads.stop()
  })
})
