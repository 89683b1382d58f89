import type { RouteReason } from '../diagnostics.ts'
import type { Node } from '../replicas/node.ts'
import type { NodeDriver } from './node-driver.ts'

/** Where one statement goes, and why. */
export interface Route {
  readonly node: NodeDriver
  readonly reason: RouteReason
  /** Whether it is a read that no replica could serve: the primary bounds how many of those it serves at a time. */
  readonly spills?: boolean
  /** Whether it goes there and nowhere else, however the node is by then: it was asked for by name, or is the last resort. */
  readonly stays?: boolean
  /** To be called first, and the route to be found anew then: a replica may have replayed what the read demands. */
  readonly look?: () => Promise<void>
}

/** One more try at a statement: where, or, without a route, wherever it belongs by now. */
export interface Attempt {
  readonly route?: Route
  /** The nodes that were tried already: each is tried once. */
  readonly tried: ReadonlySet<Node> | undefined
  /** Whether it was looked how far the replicas are, for its sake. */
  readonly hasLooked?: boolean
  /** Whether its node was connected to once more, without the read-only option that a pooler refused. */
  readonly didWithout?: boolean
}
