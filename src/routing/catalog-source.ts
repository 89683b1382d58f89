import { hasDataOfPrimary } from '../nodes/eligibility.ts'
import { isServerError } from '../nodes/error-meaning.ts'
import type { Node } from '../nodes/node.ts'
import { type AskedServer, askServer } from '../nodes/session.ts'
import type { Ask } from '../sql/read-catalog.ts'
import type { CatalogReports } from './catalog-reports.ts'

/** The server that says what the catalog holds. */
export interface CatalogServer {
  /** Whether it is a replica, which may lag. */
  readonly isReplica: boolean
  /** Which database it has, and of which cluster; undefined if unknown. */
  readonly database: string | undefined
  /** Asks several questions in one transaction. */
  within<T>(questions: (ask: Ask) => Promise<T>): Promise<T>
}

/**
 * The servers from which the catalog can be read: the primary, which is the first to know of a new function or trigger,
 * and replicas.
 */
export class CatalogSource {
  readonly #nodes: () => readonly Node[]
  readonly #reports: CatalogReports
  readonly #stop = new AbortController()

  constructor(nodes: () => readonly Node[], reports: CatalogReports) {
    this.#nodes = nodes
    this.#reports = reports
  }

  /** Whether the primary answers, as far as is known. */
  get isPrimaryUp(): boolean {
    const [primary] = this.#nodes()
    return primary?.isUp === true && primary.sighting?.isInRecovery !== true
  }

  /**
   * Reads from the first node that lets us, or only from the primary. Gives the server that has answered; undefined for
   * none. Never throws.
   */
  async read(
    reading: (from: CatalogServer) => Promise<void>,
    { onlyPrimary }: { readonly onlyPrimary: boolean },
  ): Promise<CatalogServer | undefined> {
    const [primary, ...replicas] = this.#nodes()
    for (const node of [primary, ...(onlyPrimary ? [] : replicas.filter(hasDataOfPrimary))]) {
      if (node === undefined) continue
      let server: CatalogServer | undefined
      try {
        await askServer(
          node,
          async (client) => {
            server = {
              isReplica: node !== primary || node.sighting?.isInRecovery === true,
              database: databaseOf(node),
              within: (questions) => within(client, questions),
            }
            await reading(server)
          },
          this.#stop.signal,
        )
        return server
      } catch (error) {
        // The next node may answer. If none does, what is known stays in use.
        if (server !== undefined && node.isUp && !this.#stop.signal.aborted) this.#reports.failed(node, error)
      }
    }
    return undefined
  }

  /** Cuts short what is being read. */
  stop(): void {
    this.#stop.abort()
  }
}

/**
 * Asks several questions in one transaction. So they run in one server session, even behind a pooler, and the search
 * path that BEGIN sets ends with the transaction.
 *
 * That path has only PostgreSQL's own functions and operators, so nobody can put one of their own in the place of one
 * of these. Each question has a snapshot of its own, because a transaction that keeps one would hold up VACUUM.
 */
async function within<T>(server: AskedServer, questions: (ask: Ask) => Promise<T>): Promise<T> {
  await server.query(BEGIN)
  try {
    const answer = await questions(async <Row>(text: string, values: readonly unknown[]) => {
      return (await server.query<Row>(text, values)).rows
    })
    await server.query('commit')
    return answer
  } catch (error) {
    if (isServerError(error)) await server.query('rollback')
    throw error
  }
}

// The session's schema for temporary objects comes first in the path unless the path names it. So it is named, last.
const BEGIN =
  'begin isolation level read committed read only; set local search_path to pg_catalog, pg_temp; set local statement_timeout = 0'

function databaseOf({ sighting }: Node): string | undefined {
  const { systemId, databaseOid } = sighting ?? {}
  return systemId === undefined || databaseOid === undefined ? undefined : `${systemId} ${databaseOid}`
}
