import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import {
  closeMemory,
  createMemory,
  rememberMarkedWrite,
  rememberWrite,
  rememberWriteRequest,
  requirementOfMemory,
} from '../../src/routing/memory.ts'

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
