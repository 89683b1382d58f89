/** The codes of the package's warnings while `fn` ran. */
export async function warningsOf(fn: () => unknown): Promise<string[]> {
  const codes: string[] = []
  const onWarning = (warning: Error & { code?: string }) => {
    if (warning.name === 'WritePinningWarning') codes.push(warning.code ?? '')
  }
  process.on('warning', onWarning)
  try {
    await fn()
    // Node.js emits a warning one tick later.
    await new Promise(setImmediate)
  } finally {
    process.off('warning', onWarning)
  }
  return codes
}

/** The messages of the package's warnings while `fn` ran. */
export async function messagesOf(fn: () => unknown): Promise<string[]> {
  const messages: string[] = []
  const onWarning = ({ name, message }: Error) => {
    if (name === 'WritePinningWarning') messages.push(message)
  }
  process.on('warning', onWarning)
  try {
    await warningsOf(fn)
  } finally {
    process.off('warning', onWarning)
  }
  return messages
}

/** The code of the error that `fn` throws or rejects with; undefined if there is none. */
export async function codeOf(fn: () => unknown): Promise<unknown> {
  try {
    await fn()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
  return undefined
}
