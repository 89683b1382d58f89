/**
 * Waits that count only the time in which this process runs. Time in which its event loop is blocked does not count:
 * an answer may already be in a socket that nobody has read.
 */

/** A step counts for at most this many times its planned length: if it took longer, this process was not running. */
const LATE = 1.5
const STEPS = 5

/** No answer came in time. */
export class Unanswered extends Error {
  constructor(waitedMs: number) {
    super(`no answer within ${waitedMs} ms`)
  }
}

/**
 * Waits for `work`, but for no longer than `waitMs` of this process's running time. Then it rejects with {@link
 * Unanswered}.
 */
export function withinRunningTime<T>(work: Promise<T>, waitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = afterRunningTime(waitMs, () => reject(new Unanswered(waitMs)))
    work.then(resolve, reject).finally(stop)
  })
}

/** Waits until `work` is fulfilled or rejected, or `waitMs` of this process's running time are over. */
export function waitAtMost(work: Promise<unknown>, waitMs: number): Promise<void> {
  return withinRunningTime(work, waitMs).then(ignore, ignore)
}

/** Calls `onOver` after `waitMs` of this process's running time. Gives a function that cancels this. */
export function afterRunningTime(waitMs: number, onOver: () => void): () => void {
  const stepMs = waitMs / STEPS
  let leftMs = waitMs
  let steppedAtMs = performance.now()
  const step = () => {
    const nowMs = performance.now()
    leftMs -= Math.min(nowMs - steppedAtMs, stepMs * LATE)
    steppedAtMs = nowMs
    if (leftMs <= 0) onOver()
    else timer = setTimeout(step, Math.min(stepMs, leftMs))
  }
  let timer = setTimeout(step, stepMs)
  return () => clearTimeout(timer)
}

function ignore(): void {}
