/**
 * Waits for a promise for `ms` at most. Gives true if it was fulfilled in time, and false if not. Rejects if the
 * promise rejects in time. With `'unref'`, the wait does not keep the process alive.
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
