import { hasItsData } from '../nodes/eligibility.ts'
import type { Node } from '../nodes/node.ts'
import { askServer } from '../nodes/session.ts'
import type { Ask } from '../sql/read-catalog.ts'
import type { CatalogReports } from './catalog-reports.ts'

/** Who said what the catalog holds. */
export interface Answered {
  /** Whether it was a replica, which may be late. */
  readonly isLate: boolean
}

/** The servers that the catalog can be read from: the primary, which is the first to know of a new function or trigger, and replicas. */
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

  /** Reads from the first node that lets it be read; gives whose answers those were, or undefined for nobody's. Never throws. */
  async read(reading: (ask: Ask, from: Answered) => Promise<void>): Promise<Answered | undefined> {
    const [primary, ...replicas] = this.#nodes()
    for (const node of [primary, ...replicas.filter(hasItsData)]) {
      if (node === undefined) continue
      const from = { isLate: node !== primary || node.sighting?.isInRecovery === true }
      let hasAnswered = false
      try {
        await askServer(
          node,
          async (client) => {
            hasAnswered = true
            await reading(async <Row>(text: string, values: readonly unknown[]) => {
              return (await client.query<Row>(text, values)).rows
            }, from)
          },
          this.#stop.signal,
        )
        return from
      } catch (error) {
        // The next node may answer; if none does, what is known goes on to serve.
        if (hasAnswered && node.isUp && !this.#stop.signal.aborted) this.#reports.failed(node, error)
      }
    }
    return undefined
  }

  /** Cuts short what is being read. */
  stop(): void {
    this.#stop.abort()
  }
}
