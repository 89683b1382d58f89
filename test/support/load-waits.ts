import { expect, vi } from 'vitest'
import type { Load } from './load.ts'

/** Resolves when this many operations of the load (100 by default) have begun and ended from now on. */
export async function more(load: Load<unknown>, count = 100): Promise<void> {
  const fromMs = load.nowMs()
  await vi.waitFor(
    () => expect(load.soFar().between(fromMs).operations.length).toBeGreaterThanOrEqual(count),
    { timeout: 20_000, interval: 10 },
  )
}

/**
 * Waits until `node` serves one of the load's reads that begins from now on. Resolves with the time that this took,
 * in ms.
 */
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
