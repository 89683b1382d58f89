import type { RequestMemory } from '../freshness/memory.ts'

/** How long anybody waits for what is left of a position read, in ms; then it is a time pin. */
export const POSITION_WAIT_MS = 250

/** Whether positions of this request are still being read. */
export function hasOpenPositions(memory: RequestMemory): boolean {
  return memory.written !== undefined && memory.written.open.size > 0
}

/** Waits until the positions of what the request has done so far are there, for a moment at most; never rejects. */
export async function settlePositions(memory: RequestMemory): Promise<void> {
  if (!hasOpenPositions(memory)) return
  await withinMs(POSITION_WAIT_MS, Promise.all(memory.written?.open ?? []))
}

/**
 * Waits for a promise as long as that; true where it was kept in time. It rejects as the promise does. With `'unref'` the wait does
 * not keep the process alive.
 */
export async function withinMs(ms: number, promise: Promise<unknown>, unref?: 'unref'): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false)
    if (unref !== undefined) timer.unref()
  })
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    clearTimeout(timer)
  }
}
