import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Pin } from 'write-pinning'
import { AccountStore } from '../../src/pinning/account-store.ts'
import {
  type Loss,
  RETRY_SETTINGS,
  type RetrySettings,
  UnraisedPins,
} from '../../src/pinning/unraised-pins.ts'
import { FailingStore } from '../support/failing-store.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const eventually = <T>(fn: () => T) => expect.poll(fn, { timeout: 10_000 })
const never = withResolvers<never>().promise
const timePin = (inMs = 10_000): Pin => ({ kind: 'time', untilMs: Date.now() + inMs })

afterEach(() => void vi.useRealTimers())

describe('pins that wait for their store', () => {
  const QUICK = { firstPauseMs: 1, longestPauseMs: 4, tryMs: 1_000 }

  function waiting(answers: (account: string) => Promise<void>, retries: Partial<RetrySettings> = QUICK) {
    const tried: string[] = []
    const lost: Partial<Record<Loss, number>> = {}
    const pins = new UnraisedPins(
      {
        raise: (account) => {
          tried.push(account)
          return answers(account)
        },
        tried: () => {},
        lost: (count, why) => {
          lost[why] = (lost[why] ?? 0) + count
        },
      },
      { ...RETRY_SETTINGS, ...retries },
    )
    return { pins, tried, lost }
  }

  it('are one for each account', async () => {
    const { pins, tried } = waiting(async () => {})
    for (let i = 0; i < 100; i++) pins.add('anna', timePin(10_000 + i))
    expect(pins.of('anna')?.untilMs).toBeGreaterThan(Date.now() + 10_090)
    await eventually(() => pins.size).toBe(0)
    expect(tried).toEqual(['anna'])
  })

  it('are as many as said at most; then the account whose pin is the oldest is given up', () => {
    const { pins, lost } = waiting(() => never, { maxAccounts: 3 })
    for (const account of ['anna', 'ben', 'carl', 'anna', 'dora', 'emil']) pins.add(account, timePin())
    expect(['anna', 'ben', 'carl', 'dora', 'emil'].filter((each) => pins.of(each))).toEqual([
      'anna',
      'dora',
      'emil',
    ])
    expect(lost).toEqual({ 'too-many': 2 })
  })

  it('are tried some at a time while the store is down, with pauses that grow, and given up when they are over', async () => {
    vi.useFakeTimers({ now: Date.now() })
    const down = waiting(() => Promise.reject(new Error('down')), {})
    for (let i = 0; i < 50; i++) down.pins.add(`account-${i}`, timePin(60_000))
    await vi.advanceTimersByTimeAsync(250)
    expect(down.tried.length).toBe(8)
    await vi.advanceTimersByTimeAsync(500)
    expect(down.tried.length).toBeLessThan(40)
    expect(new Set(down.tried).size).toBe(down.tried.length)
    await vi.advanceTimersByTimeAsync(58_250)
    expect(down.tried.length).toBeLessThan(50 * 16)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(down.lost).toEqual({ over: 50 })
    expect(vi.getTimerCount()).toBe(0)
  })

  it('do not wait for many that the store never takes', async () => {
    const { pins } = waiting((account) =>
      account.startsWith('poison') ? Promise.reject(new Error('WRONGTYPE')) : Promise.resolve(),
    )
    for (let i = 0; i < 40; i++) pins.add(`poison-${i}`, timePin(60_000))
    for (const account of ['anna', 'ben']) pins.add(account, timePin(60_000))
    await eventually(() => pins.size).toBe(40)
    await pins.close()
  })

  it('do not wait for one that the store never takes', async () => {
    const { pins, tried } = waiting((account) =>
      account === 'poison' ? Promise.reject(new Error('WRONGTYPE')) : Promise.resolve(),
    )
    for (const account of ['poison', 'anna', 'ben']) pins.add(account, timePin())
    await eventually(() => pins.size).toBe(1)
    expect(pins.of('poison')).toBeDefined()
    expect(tried.filter((each) => each !== 'poison').sort()).toEqual(['anna', 'ben'])
    await pins.close()
  })

  it('that were raised by a call that took long are not raised again, but what was added since is', async () => {
    const answers = [withResolvers<void>(), withResolvers<void>()]
    const inTurn = answers.values()
    const { pins, tried } = waiting(() => inTurn.next().value?.promise ?? never, { ...QUICK, tryMs: 60_000 })
    pins.add('anna', timePin())
    await eventually(() => tried.length).toBe(1)
    pins.add('anna', timePin(20_000))
    answers[0]?.resolve()
    await eventually(() => tried.length).toBe(2)
    expect(pins.size).toBe(1)
    answers[1]?.resolve()
    await eventually(() => pins.size).toBe(0)
  })
})

describe('a store that fails now and then', () => {
  it('has one outage, whose end is told with what was lost', async () => {
    vi.useFakeTimers({ now: Date.now() })
    const store = new FailingStore()
    const said: string[] = []
    const counts = { storeFailures: 0, storeLosses: 0 }
    const log = { warn: (message: string) => void said.push(message), debug: () => {} }
    const accounts = new AccountStore(store, counts, log)
    for (let i = 0; i < 10; i++) {
      store.mode = 'refuses'
      await accounts.raise('anna', timePin(100)).isDone
      store.mode = 'takes'
      await accounts.raise('ben', timePin()).isDone
      await vi.advanceTimersByTimeAsync(1_000)
    }
    expect(said).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(10_000)
    expect(said).toEqual([expect.stringContaining('fails'), expect.stringContaining('took them: 10.')])
    expect(counts).toEqual({ storeFailures: 10, storeLosses: 10 })
    expect(vi.getTimerCount()).toBe(0)
  })
})
