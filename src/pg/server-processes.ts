import type { Node } from '../nodes/node.ts'
import type { Session } from '../nodes/session.ts'
import type { Settings } from '../sql/settings.ts'
import { withinMs } from '../waiting.ts'
import type { Results } from './statement.ts'

/** A client that may have a session, and whose query can be cancelled. */
export interface CancellableClient {
  readonly session: Session | undefined
  /** If its query waits for a session, keeps it from being sent. */
  cancelWaiting(): void
}

/** What the client that sends a cancel has set. */
export interface CancellingClient {
  readonly settings: Settings
}

/** How many process ids are kept. */
const MAX_REMEMBERED = 1_000
/** How long making the other connection may take, in ms. */
const CONNECT_MS = 5_000

/**
 * Remembers which server a process id belongs to. A query is cancelled over another connection, and that one must
 * lead to the server that runs the query. Two servers may have the same process id. Then the id that was read last
 * counts.
 */
export class ServerProcesses {
  /** The clients that are connected. */
  readonly connected = new Set<CancellableClient>()
  readonly #nodes = new Map<number, Node>()
  /** The clients without a session, by a made-up id that no server has. */
  readonly #waiting = new Map<number, CancellableClient>()
  #lastId = 0

  /** Records that the application has read the process id of a session. */
  wasRead(processId: number, { node }: Session): void {
    if (this.#nodes.size >= MAX_REMEMBERED) {
      const oldest = this.#nodes.keys().next()
      if (!oldest.done) this.#nodes.delete(oldest.value)
    }
    // The id that was read last is also kept longest.
    this.#nodes.delete(processId)
    this.#nodes.set(processId, node)
  }

  /** The made-up id of a client whose query waits for a session. */
  idOf(waiting: CancellableClient): number {
    for (const [id, each] of this.#waiting) if (each === waiting) return id
    this.#waiting.set(--this.#lastId, waiting)
    return this.#lastId
  }

  /** The client is gone. */
  forget(waiting: CancellableClient): void {
    this.connected.delete(waiting)
    for (const [id, each] of this.#waiting) if (each === waiting) this.#waiting.delete(id)
  }

  /** The node that has this process; undefined if it is unknown. */
  nodeOf(processId: number): Node | undefined {
    const known = this.#nodes.get(processId)
    if (known !== undefined && !known.isEnded) return known
    for (const { session } of this.connected) {
      if (session !== undefined && session.client.processID === processId) return session.node
    }
    return undefined
  }

  /**
   * If a query cancels or ends a process, sends it to the server of that process. This does not count as a write. It
   * uses a connection outside the pool, because those in the pool may all be busy. If the client that asks acts as
   * another database user, that user's rights count. Undefined for any other query, and for a process that no client
   * here has.
   */
  cancelElsewhere(config: unknown, values: unknown, by?: CancellingClient): Promise<Results> | undefined {
    if (this.#nodes.size === 0 && this.connected.size === 0) return undefined
    const processId = signalled(config, values)
    if (processId === undefined) return undefined
    const identity = by?.settings.identity ?? []
    const waiting = this.#waiting.get(processId)
    if (waiting === undefined) {
      const node = this.nodeOf(processId)
      return node && sendTo(node, identity, config, values)
    }
    const { session } = waiting
    // Without a session, no server can say whether that user may cancel it.
    if (session === undefined && identity.length > 0) return undefined
    const text = typeof config === 'string' ? config : String((config as { text: string }).text)
    const name = /pg_cancel_backend/i.test(text) ? 'pg_cancel_backend' : 'pg_terminate_backend'
    if (session !== undefined)
      return sendTo(session.node, identity, `select ${name}($1)`, [session.client.processID])
    waiting.cancelWaiting()
    return Promise.resolve({ command: 'SELECT', rowCount: 1, oid: 0, fields: [], rows: [{ [name]: true }] })
  }
}

/** The process that a query cancels or ends; undefined if the query does anything else. */
export function signalled(config: unknown, values: unknown): number | undefined {
  const given =
    typeof config === 'string' ? { text: config } : (config as { text?: unknown; values?: unknown })
  const { text } = given
  if (typeof text !== 'string' || text.length > MAX_LENGTH || !text.includes('_backend')) return undefined
  const [, argument] = SIGNALS.exec(text) ?? []
  if (argument === undefined) return undefined
  const its = values ?? ('values' in given ? given.values : undefined)
  const value = argument === '$1' ? (Array.isArray(its) ? its[0] : undefined) : argument
  const processId = typeof value === 'string' ? Number(value) : value
  return typeof processId === 'number' && Number.isInteger(processId) ? processId : undefined
}

async function sendTo(
  node: Node,
  identity: readonly string[],
  config: unknown,
  values: unknown,
): Promise<Results> {
  const client = await node.pool.ownClient(CONNECT_MS)
  try {
    await client.connect()
    for (const text of identity) await client.query(text as never)
    const query = typeof config === 'string' ? { text: config } : (config as object)
    const its = values === undefined ? query : { ...query, values }
    // The application's own parsers apply.
    return (await client.query(its as never)) as unknown as Results
  } finally {
    // The caller may check at once whether that connection is gone, so its end is awaited. But a server that does not
    // answer never closes its side.
    await withinMs(CLOSING_MS, client.end()).catch(() => {})
  }
}

/** How long that connection may take to close, in ms. */
const CLOSING_MS = 1_000
const MAX_LENGTH = 200
const SIGNALS =
  /^\s*select\s+(?:pg_catalog\s*\.\s*)?pg_(?:cancel|terminate)_backend\s*\(\s*(\$1|-?\d+)(?:\s*::\s*\w+)?\s*\)(?:\s*as\s+\w+)?\s*;?\s*$/i
