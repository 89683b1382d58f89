/** How much longer than planned one step may take before it is this process that was not there. */
const LATE = 1.5
const STEPS = 5

/** Nothing was heard in time. */
export class Unanswered extends Error {
  constructor(waitedMs: number) {
    super(`no answer within ${waitedMs} ms`)
  }
}

/** Waits for `work` for `waitMs` of this process's own time, and rejects with {@link Unanswered} then. */
export function withPatience<T>(work: Promise<T>, waitMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = afterPatience(waitMs, () => reject(new Unanswered(waitMs)))
    work.then(resolve, reject).finally(stop)
  })
}

/** The same, where it does not matter what comes of `work`: resolves when it has ended, whatever with, or the time is over. */
export function waitAtMost(work: Promise<unknown>, waitMs: number): Promise<void> {
  return withPatience(work, waitMs).then(ignore, ignore)
}

/**
 * Calls `onOver` when `waitMs` of this process's own time are over, unless the function that it gives was called before.
 * While the event loop is blocked no time passes: an answer may be there all along, in a socket that nobody read.
 */
export function afterPatience(waitMs: number, onOver: () => void): () => void {
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
