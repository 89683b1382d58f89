import type { Node } from '../nodes/node.ts'
import type { Session } from '../nodes/session.ts'
import type { Settings } from '../sql/settings.ts'
import { withinMs } from '../waiting.ts'
import type { Results } from './statement.ts'

/** A client, which may be on a session. */
export interface Holder {
  readonly session: Session | undefined
  /** Has its query not sent that waits for one. */
  cancelWaiting(): void
}

/** Who sends a query, and what it has set. */
export interface Asker {
  readonly settings: Settings
}

/** How many process ids are remembered. */
const MAX_REMEMBERED = 1_000
/** How long the other connection may take to be made, in ms. */
const CONNECT_MS = 5_000

/**
 * Which server a process id belongs to. A query is cancelled by another connection, which has to be one to the server that runs it; two
 * servers may have the same process id, so that the one counts whose id was read last.
 */
export class ServerProcesses {
  /** The clients that are out. */
  readonly holders = new Set<Holder>()
  readonly #nodes = new Map<number, Node>()
  /** The clients that have no process, by an id that no server knows. */
  readonly #waiting = new Map<number, Holder>()
  #lastId = 0

  /** Takes note that the process id of a session was read. */
  wasRead(processId: number, { node }: Session): void {
    if (this.#nodes.size >= MAX_REMEMBERED) {
      const oldest = this.#nodes.keys().next()
      if (!oldest.done) this.#nodes.delete(oldest.value)
    }
    // The one that was read last is also the one that is remembered longest.
    this.#nodes.delete(processId)
    this.#nodes.set(processId, node)
  }

  /** What stands for the process of a client whose query waits for one. */
  idOf(holder: Holder): number {
    for (const [id, each] of this.#waiting) if (each === holder) return id
    this.#waiting.set(--this.#lastId, holder)
    return this.#lastId
  }

  /** A client is no more. */
  forget(holder: Holder): void {
    this.holders.delete(holder)
    for (const [id, each] of this.#waiting) if (each === holder) this.#waiting.delete(id)
  }

  /** The node that has this process; undefined where none of these clients is on it. */
  nodeOf(processId: number): Node | undefined {
    const known = this.#nodes.get(processId)
    if (known !== undefined && !known.isEnded) return known
    for (const { session } of this.holders) {
      if (session !== undefined && session.client.processID === processId) return session.node
    }
    return undefined
  }

  /**
   * Sends a query that cancels or ends a process to the server which has that, over a connection of its own: those of the pool may all be
   * busy. It is no write. Where `by`, who asks, has set that it acts as another user, the rights of that one count there as well. Undefined
   * for any other query, and for a process that nobody here is on.
   */
  signal(config: unknown, values: unknown, by?: Asker): Promise<Results> | undefined {
    if (this.#nodes.size === 0 && this.holders.size === 0) return undefined
    const processId = signalled(config, values)
    if (processId === undefined) return undefined
    const identity = by?.settings.identity ?? []
    const holder = this.#waiting.get(processId)
    if (holder === undefined) {
      const node = this.nodeOf(processId)
      return node && sendTo(node, identity, config, values)
    }
    const { session } = holder
    // No server could tell whether that user may.
    if (session === undefined && identity.length > 0) return undefined
    const text = typeof config === 'string' ? config : String((config as { text: string }).text)
    const name = /pg_cancel_backend/i.test(text) ? 'pg_cancel_backend' : 'pg_terminate_backend'
    if (session !== undefined)
      return sendTo(session.node, identity, `select ${name}($1)`, [session.client.processID])
    holder.cancelWaiting()
    return Promise.resolve({ command: 'SELECT', rowCount: 1, oid: 0, fields: [], rows: [{ [name]: true }] })
  }
}

/** The process that a query cancels or ends, where it does nothing else. */
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
    // As the application has set up its parsers.
    return (await client.query(its as never)) as unknown as Results
  } finally {
    // Whoever asked may look right after whether it is over. A server that does not answer never closes its side.
    await withinMs(CLOSING_MS, client.end()).catch(() => {})
  }
}

/** How long that connection may take to close, in ms. */
const CLOSING_MS = 1_000
const MAX_LENGTH = 200
const SIGNALS =
  /^\s*select\s+(?:pg_catalog\s*\.\s*)?pg_(?:cancel|terminate)_backend\s*\(\s*(\$1|-?\d+)(?:\s*::\s*\w+)?\s*\)(?:\s*as\s+\w+)?\s*;?\s*$/i
