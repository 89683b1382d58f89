import { beforeEach, expect, test } from 'vitest'
import { readsOf, startLoad, writesOf } from '../support/load.ts'
import { more } from '../support/load-waits.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'

// The event loop of this process is blocked for a while (a large JSON, a bad regular expression, a paused container).
// What it then hears from the nodes is late, and that is not their fault.
const { cluster, watch } = useShop({ replicas: 2 })
let watched: Watched

beforeEach(async () => {
  watched = await watch()
})

function blockFor(ms: number): void {
  for (const untilMs = performance.now() + ms; performance.now() < untilMs; );
}

const expectNobodyEjected = () => expect(watched.events.filter(({ change }) => change === 'down')).toEqual([])

test('an event loop that is blocked for 3 s ejects nobody, and fails neither reads nor writes', async () => {
  const reads = startLoad(readsOf(cluster, watched.db))
  const writes = startLoad(writesOf(watched.db), { perSecond: 20 })
  for (let round = 0; round < 2; round++) {
    await more(reads, 100 + 60 * round)
    blockFor(3_000)
  }
  await more(reads)
  const [readReport, writeReport] = [await reads.stop(), await writes.stop()]
  expect(readReport.failures()).toEqual([])
  expect(writeReport.failures()).toEqual([])
  expectNobodyEjected()
})

test('an event loop that is blocked most of the time ejects nobody', async () => {
  const reads = startLoad(readsOf(cluster, watched.db))
  for (let round = 0; round < 12; round++) {
    await more(reads, 1)
    blockFor(400)
  }
  expect((await reads.stop()).failures()).toEqual([])
  expectNobodyEjected()
})

test('an event loop that is blocked for 3 s while connections are made fails nothing', async () => {
  const read = readsOf(cluster, watched.db)
  const write = writesOf(watched.db)
  const all = Promise.allSettled([...Array(20).fill(0).map(read), ...Array(20).fill(0).map(write)])
  await new Promise(setImmediate)
  blockFor(3_000)
  const rejected = (await all).filter(({ status }) => status === 'rejected')
  expect(rejected).toEqual([])
  expectNobodyEjected()
})
