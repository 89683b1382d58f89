import { WritePinningError } from '../errors.ts'
import type { Session } from './node-driver.ts'

/**
 * Waits for a read for so long, and then closes its connection: its session is still busy, and would answer the next query
 * with this one's rows.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_READ_TIMEOUT` then.
 */
export function withinReadTimeout<T>(reading: Promise<T>, timeoutMs: number, session: Session): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(
        new WritePinningError(
          'ERR_WRITE_PINNING_READ_TIMEOUT',
          `A read on '${session.node.name}' took longer than \`readTimeoutMs\` (${timeoutMs} ms): it was given up, and its connection closed.`,
          { statusCode: 503 },
        ),
      )
      session.client?.then((client) => client.connection?.stream?.destroy()).catch(ignore)
    }, timeoutMs)
    reading.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

function ignore(): void {}
