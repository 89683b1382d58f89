import { warn } from '../diagnostics.ts'
import type { Node } from '../nodes/node.ts'

/**
 * Warns the operator once if the catalog cannot be read, and says what this means for routing. Another warning says
 * when it was read after all.
 */
export class CatalogReports {
  readonly #cluster: string
  /** What each node answered that could be asked, since the catalog was last read. */
  #failures: string[] = []
  #isTold = false

  constructor(cluster: string) {
    this.#cluster = cluster
  }

  /** A node that is up did not let us read the catalog. */
  failed(node: Node, error: unknown): void {
    const { code, message = String(error) } = error as { code?: unknown; message?: string }
    this.#failures.push(`'${node.name}' says: ${code === undefined ? '' : `${code}, `}${message}`)
  }

  /**
   * No node let us read the catalog. If no node could even be asked, nothing is said here: that fault has its own
   * warning.
   */
  wasNotRead(areFunctionsKnown: boolean): void {
    const failures = this.#failures
    this.#failures = []
    if (this.#isTold || failures.length === 0) return
    this.#isTold = true
    warn(
      'WRITE_PINNING_CATALOG_UNREAD',
      `Cluster '${this.#cluster}': what the ${areFunctionsKnown ? 'views, tables and policies' : 'functions and views'} of the database do cannot be read from its catalog (${failures.join('; ')}). ` +
        `${areFunctionsKnown ? WITHOUT_RELATIONS : WITHOUT_FUNCTIONS} It is tried again, from 20 s to 5 min later; a warning says when it was read.`,
    )
  }

  wasRead(): void {
    this.#failures = []
    if (!this.#isTold) return
    this.#isTold = false
    warn(
      'WRITE_PINNING_CATALOG_READ_AGAIN',
      `Cluster '${this.#cluster}': the catalog of the database was read: statements are routed by what it says.`,
    )
  }
}

const WITHOUT_FUNCTIONS =
  "Meanwhile a statement that calls any function but PostgreSQL's own runs on the primary, and pins who sends it unless the server says that it wrote nothing; " +
  'every update, delete and merge counts as a write, also of no row.'
const WITHOUT_RELATIONS =
  'Meanwhile what was known of them before holds. Where nothing was, a view is read on a replica, and runs once more on the primary where that refuses it; ' +
  'every update, delete and merge counts as a write, also of no row.'
