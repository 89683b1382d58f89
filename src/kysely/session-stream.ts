import type { CompiledQuery, QueryResult } from 'kysely'
import { whileConnected } from '../replicas/pool.ts'
import type { Session } from './node-driver.ts'
import { withinReadTimeout } from './read-timeout.ts'

/**
 * The stream of Kysely's own connection, which fails where the connection is lost: by itself it would wait for ever
 * for its cursor to close. With `readTimeoutMs`, so long may each of its reads take.
 */
export async function* streamOn<R>(
  session: Session,
  query: CompiledQuery,
  chunkSize: number,
  readTimeoutMs: number | undefined,
): AsyncIterableIterator<QueryResult<R>> {
  const client = await session.client
  const inner = session.connection.streamQuery<R>(query, chunkSize)
  if (client === undefined) return yield* inner
  let isOver = false
  try {
    for (;;) {
      const reading = whileConnected(client, inner.next())
      isOver = true // where it fails
      const next = await (readTimeoutMs === undefined
        ? reading
        : withinReadTimeout(reading, readTimeoutMs, session))
      if (next.done) return
      isOver = false
      yield next.value
    }
  } finally {
    // Closes the cursor of a stream that its reader left early; one that has ended, or failed, has nothing left to do. Who has
    // left hears no error: Kysely awaits nothing where a signal ended the stream, and a rejection would end the process.
    if (!isOver && inner.return !== undefined) await whileConnected(client, inner.return()).catch(ignore)
  }
}

function ignore(): void {}
