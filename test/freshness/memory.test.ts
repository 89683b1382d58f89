import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { requirementOfMemory } from '../../src/freshness/context.ts'
import {
  closeMemory,
  createMemory,
  type RequestMemory,
  rememberMarkedWrite,
  rememberWrite,
  rememberWriteRequest,
  sawPosition,
} from '../../src/freshness/memory.ts'
import type { Position } from '../../src/freshness/position.ts'
import { writtenPosition } from '../../src/freshness/written-positions.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const PINNING_MS = 15_000

// Only the clock is held; nothing here waits.
beforeEach(() => {
  vi.useFakeTimers({ now: 1_000_000, toFake: ['Date'] })
})
afterEach(() => {
  vi.useRealTimers()
})

const later = (ms: number) => vi.setSystemTime(Date.now() + ms)
const reasonIn = (memory: ReturnType<typeof createMemory>, cluster = 'default') =>
  requirementOfMemory(memory, cluster)?.reason

describe('what a request remembers', () => {
  test('a request that brought no pin and wrote nothing demands nothing', () => {
    expect(reasonIn(createMemory(PINNING_MS, undefined, false))).toBeUndefined()
  })

  test('a pin binds its reads in every cluster until its time is over', () => {
    const memory = createMemory(PINNING_MS, { kind: 'time', untilMs: Date.now() + 3_000 }, false)
    later(2_999)
    expect([reasonIn(memory), reasonIn(memory, 'stock')]).toEqual(['pin', 'pin'])
    later(1)
    expect(reasonIn(memory)).toBeUndefined()
  })

  test('a doubtful pin binds its reads in every cluster until its time is over, and what says more about them is stronger', () => {
    const memory = createMemory(PINNING_MS, undefined, false)
    memory.doubtUntilMs = Date.now() + 3_000
    later(2_999)
    expect([reasonIn(memory), reasonIn(memory, 'stock')]).toEqual(['bad-signature', 'bad-signature'])
    memory.readFrom = { kind: 'any', reason: 'read-from' }
    expect(reasonIn(memory)).toBe('read-from')
    memory.readFrom = undefined
    rememberWrite(memory, 'stock')
    expect([reasonIn(memory), reasonIn(memory, 'stock')]).toEqual(['bad-signature', 'own-write'])
    later(1)
    expect(reasonIn(memory)).toBeUndefined()
  })

  test('a doubtful pin demands more than the position of a valid one', () => {
    const position: Position = { systemId: '7', timeline: 1, lsn: 10n }
    const untilMs = Date.now() + 3_000
    const clusters = new Map([['default', { primaryUntilMs: 0, exact: { position, untilMs } }]])
    const memory = createMemory(PINNING_MS, { kind: 'exact', untilMs, primaryUntilMs: 0, clusters }, false)
    expect(requirementOfMemory(memory, 'default')).toMatchObject({ kind: 'atLeast', reason: 'pin' })
    memory.doubtUntilMs = Date.now() + 1_000
    expect(requirementOfMemory(memory, 'default')).toEqual({ kind: 'primary', reason: 'bad-signature' })
    later(1_000)
    expect(requirementOfMemory(memory, 'default')).toMatchObject({ kind: 'atLeast', reason: 'pin' })
  })

  test('a write binds its reads in the cluster that was written to', () => {
    const memory = createMemory(PINNING_MS, undefined, false)
    rememberWrite(memory, 'stock')
    expect([reasonIn(memory), reasonIn(memory, 'stock')]).toEqual([undefined, 'own-write'])
  })

  test('a write that nobody saw binds its reads in every cluster', () => {
    const memory = createMemory(PINNING_MS, undefined, false)
    rememberMarkedWrite(memory)
    expect([reasonIn(memory), reasonIn(memory, 'stock')]).toEqual(['own-write', 'own-write'])
  })

  test('so does a request that is a write by itself, from the start or from its route on', () => {
    expect(reasonIn(createMemory(PINNING_MS, undefined, true), 'stock')).toBe('write-request')
    const memory = createMemory(PINNING_MS, undefined, false)
    rememberWriteRequest(memory)
    expect(reasonIn(memory)).toBe('write-request')
  })

  test('each write is announced, so that the response can carry the pin', () => {
    const kinds: string[] = []
    const memory = createMemory(PINNING_MS, undefined, false)
    memory.onWrite = (kind) => kinds.push(kind)
    rememberWrite(memory, 'default')
    rememberWrite(memory, 'default')
    rememberMarkedWrite(memory)
    rememberWriteRequest(memory)
    expect(kinds).toEqual(['write', 'write', 'mark-write', 'db-write'])
  })
})

describe('a context that outlives its request', () => {
  test('is bound by a doubtful pin for as long as a pin would last, however long that one claims to last', () => {
    const memory = createMemory(PINNING_MS, undefined, false)
    memory.doubtUntilMs = Date.now() + 10 * PINNING_MS
    closeMemory(memory)
    later(PINNING_MS - 1)
    expect(reasonIn(memory)).toBe('bad-signature')
    later(1)
    expect(reasonIn(memory)).toBeUndefined()
  })

  test('is bound by its own writes for as long as a pin would last', () => {
    const memory = createMemory(PINNING_MS, undefined, false)
    rememberWrite(memory, 'default')
    later(60_000)
    expect(reasonIn(memory)).toBe('own-write')
    closeMemory(memory)
    later(PINNING_MS - 1)
    expect(reasonIn(memory)).toBe('own-write')
    later(1)
    expect(reasonIn(memory)).toBeUndefined()
  })

  test('is bound anew by each write that it makes later', () => {
    const memory = createMemory(PINNING_MS, undefined, true)
    closeMemory(memory)
    later(PINNING_MS * 10)
    expect(reasonIn(memory)).toBeUndefined()
    rememberWrite(memory, 'default')
    expect(reasonIn(memory)).toBeDefined()
    later(PINNING_MS)
    expect(reasonIn(memory)).toBeUndefined()
  })

  test('is bound by the pin that it brought no longer than that lasts', () => {
    const memory = createMemory(PINNING_MS, { kind: 'time', untilMs: Date.now() + 1_000 }, false)
    closeMemory(memory)
    later(1_000)
    expect(reasonIn(memory)).toBeUndefined()
  })
})

describe('a request whose positions are wanted', () => {
  const POSITION = { systemId: '7300000000000000001', timeline: 1, lsn: 1_000n }
  const wanting = { wantsPositions: true, wantsSeen: true, codec: undefined }
  const read = async (memory: RequestMemory) => {
    await Promise.all(memory.written?.open ?? [])
    return writtenPosition(memory.written, 'default')
  }

  test('knows the position that covers its writes when the last of them is read', async () => {
    const memory = createMemory(PINNING_MS, undefined, false, wanting)
    const first = withResolvers<Position | undefined>()
    rememberWrite(memory, 'default', first.promise)
    rememberWrite(memory, 'default', Promise.resolve({ ...POSITION, lsn: 2_000n }))
    expect(writtenPosition(memory.written, 'default')).toBeUndefined()
    await expect.poll(() => writtenPosition(memory.written, 'default')?.lsn).toBe(2_000n)
    first.resolve(POSITION)
    expect((await read(memory))?.lsn).toBe(2_000n)
  })

  test.each([
    ['cannot be read', Promise.resolve(undefined)],
    ['is no position', Promise.resolve({ ...POSITION, lsn: 0n })],
    ['is of a number that is none', Promise.resolve({ ...POSITION, timeline: Number.NaN })],
    ['is of no system', Promise.resolve({ ...POSITION, systemId: 'x' })],
  ])('knows none where it %s, until a later write is read', async (_what, position) => {
    const memory = createMemory(PINNING_MS, undefined, false, wanting)
    rememberWrite(memory, 'default', position)
    expect(await read(memory)).toBeUndefined()
    rememberWrite(memory, 'default', Promise.resolve(POSITION))
    expect(await read(memory)).toEqual(POSITION)
  })

  test('knows none where it is not offered: that write may be committed after later ones', async () => {
    const memory = createMemory(PINNING_MS, undefined, false, wanting)
    rememberWrite(memory, 'default')
    rememberWrite(memory, 'default', Promise.resolve(POSITION))
    expect(await read(memory)).toBeUndefined()
  })

  test('knows the furthest: a write that was not flushed may be behind one that was flushed after it', async () => {
    const memory = createMemory(PINNING_MS, undefined, false, wanting)
    rememberWrite(memory, 'default', Promise.resolve({ ...POSITION, lsn: 3_000n }))
    rememberWrite(memory, 'default', Promise.resolve(POSITION))
    expect((await read(memory))?.lsn).toBe(3_000n)
  })

  test('knows none where reading it fails, and nothing is left unhandled', async () => {
    const memory = createMemory(PINNING_MS, undefined, false, wanting)
    rememberWrite(memory, 'default', Promise.resolve(POSITION))
    rememberWrite(memory, 'default', Promise.reject(new Error('no')))
    expect(await read(memory)).toBeUndefined()
  })

  test('demands of its reads what earlier ones have seen, as far as one can tell', () => {
    const memory = createMemory(PINNING_MS, undefined, false, wanting)
    const demanded = () => requirementOfMemory(memory, 'default')
    sawPosition(memory, 'default', POSITION)
    expect(demanded()).toEqual({
      kind: 'atLeast',
      position: POSITION,
      reason: 'monotonic',
      comesFromReads: true,
    })
    const further = { ...POSITION, lsn: 3_000n }
    sawPosition(memory, 'default', further)
    sawPosition(memory, 'default', { ...POSITION, lsn: 2_000n })
    expect(demanded()).toMatchObject({ position: further })
    expect(requirementOfMemory(memory, 'stock')).toBeUndefined()
    sawPosition(memory, 'default', undefined)
    expect(demanded()?.kind).toBe('primary')
    later(PINNING_MS)
    expect(demanded()).toBeUndefined()
  })

  test('demands the further of what it has seen and what it had brought', () => {
    const untilMs = Date.now() + 3_000
    const part = { primaryUntilMs: 0, exact: { position: POSITION, untilMs } }
    const pin = { kind: 'exact', untilMs, primaryUntilMs: 0, clusters: new Map([['default', part]]) } as const
    const memory = createMemory(PINNING_MS, pin, false, wanting)
    expect(requirementOfMemory(memory, 'default')).toEqual({
      kind: 'atLeast',
      position: POSITION,
      reason: 'pin',
      comesFromReads: false,
    })
    sawPosition(memory, 'default', { ...POSITION, lsn: 1n })
    expect(requirementOfMemory(memory, 'default')).toMatchObject({ position: POSITION })
    sawPosition(memory, 'default', { ...POSITION, lsn: 2_000n })
    expect(requirementOfMemory(memory, 'default')).toMatchObject({ position: { lsn: 2_000n } })
    sawPosition(memory, 'default', { ...POSITION, timeline: 2 })
    expect(requirementOfMemory(memory, 'default')?.kind).toBe('primary')
  })

  test('is asked for nothing where they are not', () => {
    const memory = createMemory(PINNING_MS, undefined, false)
    sawPosition(memory, 'default', POSITION)
    rememberWrite(memory, 'default', Promise.resolve(POSITION))
    expect([memory.seen, memory.written]).toEqual([undefined, undefined])
  })
})
