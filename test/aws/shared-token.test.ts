import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SharedToken } from '../../src/aws/shared-token.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const MINUTE_MS = 60_000
let nowMs: number
let signings: number
/** What the next signing gives; by default, a token that is numbered. */
let sign: () => Promise<string>
let token: SharedToken

beforeEach(() => {
  nowMs = 1_000_000
  signings = 0
  sign = async () => `token ${signings}`
  const count = () => {
    signings++
    return sign()
  }
  token = new SharedToken(count, () => nowMs)
})

afterEach(() => {
  vi.useRealTimers()
})

const fail = async () => {
  throw new Error('no credentials')
}

test('connections that come at once share one signing', async () => {
  const all = await Promise.all(Array.from({ length: 50 }, () => token.get()))
  expect(new Set(all)).toEqual(new Set(['token 1']))
  expect(signings).toBe(1)
})

test('a token serves again, and is renewed long before it ends', async () => {
  expect(await token.get()).toBe('token 1')
  nowMs += 3 * MINUTE_MS
  expect(await token.get()).toBe('token 1')
  nowMs += 2 * MINUTE_MS
  expect(await token.get()).toBe('token 2')
})

test('its time counts from before it was signed', async () => {
  const slow = withResolvers<string>()
  sign = () => slow.promise
  const first = token.get()
  nowMs += 5 * MINUTE_MS
  slow.resolve('late')
  expect(await first).toBe('late')
  sign = async () => 'next'
  expect(await token.get()).toBe('next')
})

describe('where it cannot be renewed', () => {
  test('the old token serves for 14 of its 15 minutes, and each connection tries again', async () => {
    await token.get()
    sign = fail
    nowMs += 14 * MINUTE_MS - 1
    expect(await token.get()).toBe('token 1')
    expect(await token.get()).toBe('token 1')
    expect(signings).toBe(3)
    nowMs += 1
    await expect(token.get()).rejects.toThrow('no credentials')
  })

  test('a failure is not kept', async () => {
    sign = fail
    await expect(token.get()).rejects.toThrow('no credentials')
    sign = async () => 'there again'
    expect(await token.get()).toBe('there again')
  })

  test('a clock that was set back makes it sign anew', async () => {
    await token.get()
    nowMs -= 1
    expect(await token.get()).toBe('token 2')
  })
})

describe('where signing hangs', () => {
  test('a connection soon goes on with the old token, as long as that is good', async () => {
    await token.get()
    const slow = withResolvers<string>()
    sign = () => slow.promise
    nowMs += 10 * MINUTE_MS
    vi.useFakeTimers()
    const given = token.get()
    await vi.advanceTimersByTimeAsync(500)
    expect(await given).toBe('token 1')
    slow.resolve('renewed')
    await vi.advanceTimersByTimeAsync(0)
    expect(await token.get()).toBe('renewed')
    expect(vi.getTimerCount()).toBe(0)
  })

  test('it is given up on, and the next connection tries again', async () => {
    sign = () => new Promise(() => {})
    vi.useFakeTimers()
    const given = expect(token.get()).rejects.toThrow('more than 10000 ms')
    await vi.advanceTimersByTimeAsync(10_000)
    await given
    sign = async () => 'there again'
    expect(await token.get()).toBe('there again')
    expect(vi.getTimerCount()).toBe(0)
  })
})
