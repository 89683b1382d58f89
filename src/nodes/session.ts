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
 * Whether what was sent on a session may have been written: its node is the primary, or was when the session was
 * taken. A failover changes the role of a node first, and cuts its connections after.
 */
export function isOfPrimary({ node, wasPrimary }: Session): boolean {
  return wasPrimary || node.role === 'primary'
}

/**
 * Begins to lend a client of a node. It makes no promise of its own, because every query takes this path and each
 * promise costs.
 */
export function beginLending(node: Node): Promise<PoolClientLike> {
  // A connection takes a session at its first statement. Everything may have ended before that.
  if (node.isEnded) throw new Error(DESTROYED)
  node.lend()
  return node.pool.connect()
}

/** Makes a session of a client that was lent. If everything has ended meanwhile, gives the client back and throws. */
export function sessionOf(node: Node, client: PoolClientLike): Session {
  if (node.isEnded) {
    client.release()
    const error = new Error(DESTROYED)
    markNotOfNode(error)
    throw error
  }
  return { node, client, wasPrimary: node.role === 'primary' }
}

/** Records that the pool gave no client. True if another try may succeed. */
export function noteNothingLent(node: Node, error: unknown): boolean {
  node.giveBack()
  return node.pool.doWithoutReadOnly(error)
}

/** Gives a session back to its pool. If its settings cannot be reset, closes it. */
export function release({ node, client }: Session): void {
  node.giveBack()
  const isClean = settingsOf(client)?.letGo() !== false
  client.release(...(isClean ? [] : [true]))
}

/** Closes a session whose state is unknown, because of an error, instead of giving it back. */
export function discard({ node, client }: Session, because: unknown): void {
  node.giveBack()
  try {
    client.release(true)
  } catch {
    // A hook of the application has already given it back.
  }
  if (isServerError(because)) node.pool.reportLoss(client)
}

/** Whether a session is in a transaction. */
export type TransactionStatus = 'idle' | 'open' | 'failed'

/**
 * Whether a session is in a transaction, as the server says with the end of each answer
 * (https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-READYFORQUERY).
 * Undefined if the client does not tell, or has sent more by now.
 */
export function transactionStatusOf(client: PoolClientLike): TransactionStatus | undefined {
  if (client.readyForQuery === false || client.pipeline === true) return undefined
  const status = client.getTransactionStatus?.()
  return status === undefined || status === null ? undefined : STATUSES[status]
}

/**
 * Waits until the answer to a refused statement has ended. The server sends the error first, and only then says
 * whether the session is in a transaction. Undefined if that is already known, or if the client does not tell.
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
 * Asks a node's server over a connection of its own, because the pool belongs to the application. The connection is
 * closed right after that. The signal cuts it off: a frozen server would never close its side.
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

/** Takes this package's own statements. */
export interface AskedServer {
  query<Row>(text: string, values?: readonly unknown[]): Promise<{ rows: Row[] }>
}

/** Errors of the application's hooks, and the error that everything has ended. Another node would give the same. */
const notOfNode = new WeakSet<object>()

/** Marks an error that says nothing about the node: another node would give it too. */
export function markNotOfNode(error: unknown): void {
  if (typeof error === 'object' && error !== null) notOfNode.add(error)
}

/** Whether an error in taking a session is the fault of its node. */
export function isOfNode(error: unknown): boolean {
  return typeof error !== 'object' || error === null || !notOfNode.has(error)
}

/** The same words as in Kysely's own drivers. */
const DESTROYED = 'driver has already been destroyed'

const OWN_CLIENT_TIMEOUT_MS = 5_000
const OWN_CLIENT_CLOSING_MS = 1_000

function ignore(): void {}
