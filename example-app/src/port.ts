import { once } from 'node:events'
import { createServer } from 'node:net'
import { StartError } from './start-error.ts'

/**
 * Fails at once if the port is not free. Nobody should wait for a database first to hear that.
 *
 * @throws {StartError} that says why.
 */
export async function tryPort(host: string, port: number): Promise<void> {
  const server = createServer().listen(port, host)
  try {
    await once(server, 'listening')
  } catch (error) {
    throw portError(host, port, error)
  }
  server.close()
  await once(server, 'close')
}

/** Explains an error of `listen()`. */
export function portError(host: string, port: number, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'EADDRINUSE') {
    return new StartError(
      `Port ${port} on ${host} is taken: set PORT to another one, or to 0 for any that is free.`,
    )
  }
  if (code === 'EACCES') return new StartError(`Port ${port} on ${host} may not be used: ${message}.`)
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') {
    return new StartError(`HOST is “${host}”, which is not an address of this machine.`)
  }
  return error
}
