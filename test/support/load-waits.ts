import { expect, vi } from 'vitest'
import type { Load } from './load.ts'

/** Resolves when so many operations of the load, and by default a hundred, have ended from now on. */
export async function more(load: Load<unknown>, count = 100): Promise<void> {
  const fromMs = load.nowMs()
  await vi.waitFor(
    () => expect(load.soFar().between(fromMs).operations.length).toBeGreaterThanOrEqual(count),
    { timeout: 20_000, interval: 10 },
  )
}

/** Resolves with how many ms it took from now until `node` served one of the load's reads that began from now on. */
export async function servedAgain(load: Load<string>, node: string): Promise<number> {
  const fromMs = load.nowMs()
  return await vi.waitFor(
    () => {
      const first = load
        .soFar()
        .between(fromMs)
        .operations.find(({ value }) => value === node)
      if (first === undefined) throw new Error(`${node} has not served since ${fromMs}`)
      return first.endMs - fromMs
    },
    { timeout: 20_000, interval: 10 },
  )
}
