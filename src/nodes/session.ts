import { askOn } from '../own-statements.ts'
import { isServerError } from './error-meaning.ts'
import type { Node } from './node.ts'
import type { PoolClientLike } from './pool.ts'
import { settingsOf } from './session-settings.ts'

/** A client of one node's pool, from when it is lent until it is given back. */
export interface Session {
  readonly node: Node
  readonly client: PoolClientLike
  /** Whether its node was the primary when it was taken. */
  readonly wasPrimary: boolean
}

/**
 * Whether what was sent on a session may have been written: its node is the primary, or was when it was taken, whatever that has become by
 * the time of the answer. A failover changes its role first, and cuts its connections after.
 */
export function isOfPrimary({ node, wasPrimary }: Session): boolean {
  return wasPrimary || node.role === 'primary'
}

/** Begins to lend a client of a node's, without a promise of its own: on the path of every query each one counts. */
export function beginLending(node: Node): Promise<PoolClientLike> {
  // A connection is taken at its first statement: all may have ended since.
  if (node.isEnded) throw new Error(DESTROYED)
  node.lend()
  return node.pool.connect()
}

/** The session of a client that was lent; where all has ended meanwhile, it is given back. */
export function sessionOf(node: Node, client: PoolClientLike): Session {
  if (node.isEnded) {
    client.release()
    const error = new Error(DESTROYED)
    isNotOfNode(error)
    throw error
  }
  return { node, client, wasPrimary: node.role === 'primary' }
}

/** Takes note of a client that could not be had; true where another try may succeed. */
export function lentNothing(node: Node, error: unknown): boolean {
  node.giveBack()
  return node.pool.doWithoutReadOnly(error)
}

/** Gives a session back to its pool. */
export function release({ node, client }: Session): void {
  node.giveBack()
  const isClean = settingsOf(client)?.letGo() !== false
  client.release(...(isClean ? [] : [true]))
}

/** Ends a session whose state is unknown, `because` of an error, instead of giving it back. */
export function discard({ node, client }: Session, because: unknown): void {
  node.giveBack()
  try {
    client.release(true)
  } catch {
    // A hook of the application's has given it back.
  }
  if (isServerError(because)) node.pool.reportLoss(client)
}

/** What a session is in, by the server's own word after each statement. */
export type TransactionStatus = 'idle' | 'open' | 'failed'

/**
 * Whether a session is in a transaction, as the server says with the end of each answer
 * (https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-READYFORQUERY); undefined where the client
 * does not tell, or has sent more by now.
 */
export function transactionStatusOf(client: PoolClientLike): TransactionStatus | undefined {
  if (client.readyForQuery === false || client.pipeline === true) return undefined
  const status = client.getTransactionStatus?.()
  return status === undefined || status === null ? undefined : STATUSES[status]
}

/**
 * Waits until the answer to a statement that the server refused has ended: its error is sent before that, and only then it says what the
 * session is in. Undefined where that is known already, or the client does not tell.
 */
export function answerEnded({
  connection,
  readyForQuery,
  pipeline,
}: PoolClientLike): Promise<void> | undefined {
  if (readyForQuery !== false || pipeline === true || connection?.once === undefined) return undefined
  return new Promise((resolve) => {
    const onEnded = () => {
      connection.off?.('readyForQuery', onEnded)
      connection.off?.('end', onEnded)
      resolve()
    }
    connection.once?.('readyForQuery', onEnded)
    connection.once?.('end', onEnded)
  })
}

const STATUSES: Readonly<Record<string, TransactionStatus>> = { I: 'idle', T: 'open', E: 'failed' }

/**
 * Asks a node's server something, over a connection of its own that is closed at once: the pool is the application's. The signal cuts it
 * short; a frozen server would never close its side.
 */
export async function askServer<T>(
  { pool }: Node,
  questions: (server: AskedServer) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const client = await pool.ownClient(OWN_CLIENT_TIMEOUT_MS)
  signal.throwIfAborted()
  const cut = () => client.connection?.stream?.destroy()
  signal.addEventListener('abort', cut)
  try {
    await client.connect()
    return await questions({
      query: async <Row>(text: string, values?: readonly unknown[]) => ({
        rows: await askOn<Row>(client, text, values),
      }),
    })
  } finally {
    const closing = setTimeout(cut, OWN_CLIENT_CLOSING_MS).unref()
    await client.end().catch(ignore)
    clearTimeout(closing)
    signal.removeEventListener('abort', cut)
  }
}

/** Takes statements of this package's own. */
export interface AskedServer {
  query<Row>(text: string, values?: readonly unknown[]): Promise<{ rows: Row[] }>
}

/** Errors of the application's hooks, or where all has ended: another node would not do better. */
const notOfNode = new WeakSet<object>()

/** Takes note that an error says nothing of a node. */
export function isNotOfNode(error: unknown): void {
  if (typeof error === 'object' && error !== null) notOfNode.add(error)
}

/** Whether an error with which no session could be had says something of its node. */
export function isOfNode(error: unknown): boolean {
  return typeof error !== 'object' || error === null || !notOfNode.has(error)
}

/** As Kysely's own drivers say it. */
const DESTROYED = 'driver has already been destroyed'

const OWN_CLIENT_TIMEOUT_MS = 5_000
const OWN_CLIENT_CLOSING_MS = 1_000

function ignore(): void {}
