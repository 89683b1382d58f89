/** How much longer than planned one step may take before it is this process that was not there. */
const LATE = 1.5
const STEPS = 5

/** Nothing was heard in time. */
export class Unanswered extends Error {
  constructor(waitedMs: number) {
    super(`no answer within ${waitedMs} ms`)
  }
}

/**
 * Waits for `work` for `waitMs` of this process's own time, and rejects with {@link Unanswered} then. While the event loop
 * is blocked no time passes: an answer may be there all along, in a socket that nobody read.
 */
export function withPatience<T>(work: Promise<T>, waitMs: number): Promise<T> {
  const stepMs = waitMs / STEPS
  return new Promise((resolve, reject) => {
    let leftMs = waitMs
    let steppedAtMs = performance.now()
    const step = () => {
      const nowMs = performance.now()
      leftMs -= Math.min(nowMs - steppedAtMs, stepMs * LATE)
      steppedAtMs = nowMs
      if (leftMs <= 0) reject(new Unanswered(waitMs))
      else timer = setTimeout(step, Math.min(stepMs, leftMs))
    }
    let timer = setTimeout(step, stepMs)
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
