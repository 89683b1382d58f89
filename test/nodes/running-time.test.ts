import { expect, test, vi } from 'vitest'
import { Unanswered, withinRunningTime } from '../../src/nodes/running-time.ts'

const never = new Promise<never>(() => {})

test('gives what came in time, and what failed', async () => {
  expect(await withinRunningTime(Promise.resolve(7), 100)).toBe(7)
  await expect(withinRunningTime(Promise.reject(new Error('no')), 100)).rejects.toThrow('no')
})

test('rejects where nothing came', async () => {
  vi.useFakeTimers()
  try {
    const waiting = expect(withinRunningTime(never, 500)).rejects.toThrow(Unanswered)
    await vi.advanceTimersByTimeAsync(499)
    await vi.advanceTimersByTimeAsync(2)
    await waiting
  } finally {
    vi.useRealTimers()
  }
})

test('time in which the event loop was blocked does not count', async () => {
  let answer = (_: string) => {}
  const work = new Promise<string>((resolve) => {
    answer = resolve
  })
  const waiting = withinRunningTime(work, 200)
  const blockedUntilMs = performance.now() + 1_000
  while (performance.now() < blockedUntilMs);
  // The answer was there all along; it is read after the timers had their turn.
  setImmediate(() => answer('here'))
  expect(await waiting).toBe('here')
})
