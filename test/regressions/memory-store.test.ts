import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Pin } from 'write-pinning'
import { memoryPinStore } from 'write-pinning/stores'

// How long everybody is pinned because the store in memory was full.
beforeEach(() => void vi.useFakeTimers({ now: 1_000_000, toFake: ['Date'] }))
afterEach(() => void vi.useRealTimers())

const DAY_MS = 86_400_000
const lasting = (ms: number): Pin => ({ kind: 'time', untilMs: Date.now() + ms })

test('pins that are over make room, although one that lasts for a day was raised before them', async () => {
  const store = memoryPinStore({ maxAccounts: 20 })
  await store.raise('long', lasting(DAY_MS))
  // Ten accounts write each second, and are pinned for one: no more than twenty at a time.
  for (let index = 0; index < 120; index++) {
    await store.raise(`account-${index}`, lasting(1_000))
    vi.setSystemTime(Date.now() + 100)
  }
  vi.setSystemTime(Date.now() + 1_000)
  expect(await store.get('somebody else')).toBeUndefined()
  expect(await store.get('long')).toBeDefined()
})

test('a full store leaves out whose pin is over soonest, so that nobody is pinned for longer than that', async () => {
  const store = memoryPinStore({ maxAccounts: 2 })
  await store.raise('a day', lasting(DAY_MS))
  await store.raise('a minute', lasting(60_000))
  const untilMs = Date.now() + 60_000
  await store.raise('an hour', lasting(3_600_000))
  expect(await store.get('somebody else')).toEqual({ kind: 'time', untilMs })
  vi.setSystemTime(untilMs)
  expect(await store.get('somebody else')).toBeUndefined()
  expect(await store.get('a day')).toBeDefined()
  expect(await store.get('an hour')).toBeDefined()
})

test('a pin that is raised, again and again, lasts as long as its longest', async () => {
  const store = memoryPinStore({ maxAccounts: 2 })
  const { untilMs } = lasting(30_000)
  await store.raise('anna', { kind: 'time', untilMs })
  for (let second = 0; second < 29; second++) {
    await store.raise('anna', lasting(500))
    await store.raise(`other-${second}`, lasting(500))
    vi.setSystemTime(Date.now() + 1_000)
  }
  expect(await store.get('anna')).toEqual({ kind: 'time', untilMs })
  vi.setSystemTime(untilMs)
  expect(await store.get('anna')).toBeUndefined()
})
