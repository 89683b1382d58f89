/** The messages of what nobody caught while `fn` ran, which would have ended the process. */
export async function uncaughtBy(fn: () => Promise<unknown>): Promise<string[]> {
  const messages: string[] = []
  const hear = (error: unknown) => void messages.push((error as Error).message)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', hear)
  try {
    await fn()
    await new Promise(setImmediate)
  } finally {
    process.off('uncaughtException', hear)
    for (const other of others) process.on('uncaughtException', other)
  }
  return messages
}
