import type { RouteReason } from '../diagnostics.ts'
import type { Position } from '../freshness/position.ts'
import type { Node } from '../nodes/node.ts'

/** What a route claims of its node. It has to hold when the statement is sent, whatever was waited for since. */
export type Claim =
  | { readonly kind: 'primary' }
  | { readonly kind: 'fit' } // a replica that may serve reads
  | Fresh // and has replayed up to there
  | { readonly kind: 'late' } // a replica that answers, however late it is
  | { readonly kind: 'named' } // asked for by its name, and nobody else will do
  | { readonly kind: 'bound' } // where its transaction is, or what an earlier statement left in the session

/** With `isSeen` by what was observed of it, whatever became of the primary: nothing was written that could be missed. */
interface Fresh {
  readonly kind: 'fresh'
  readonly position: Position
  readonly isSeen: boolean
}

export const IS_PRIMARY: Claim = { kind: 'primary' }
export const IS_FIT: Claim = { kind: 'fit' }
export const IS_LATE: Claim = { kind: 'late' }
export const IS_NAMED: Claim = { kind: 'named' }
export const IS_BOUND: Claim = { kind: 'bound' }

/** Whether it is a replica's, and another node would do as well: nobody asked for that one in particular. */
export function isMovable({ kind }: Claim): boolean {
  return kind === 'fit' || kind === 'fresh' || kind === 'late'
}

/** Where one statement goes, and why. */
export interface Route {
  readonly node: Node
  readonly reason: RouteReason
  readonly claim: Claim
  /**
   * Whether it is on the primary only because of what earlier reads have seen: a position, so that a replica which proves that it is as
   * far will do where the primary fails it; or nobody knows how much, so that only a primary that is down lets others serve.
   */
  readonly seen?: 'position' | 'unknown' | undefined
  /** Whether it is a read that no replica could serve: the primary bounds how many of those it serves at a time. */
  readonly spills?: boolean
  /** To be waited for first, and the route to be found anew then. */
  readonly look?: Look
  /** To be called once the node has accepted what was sent, in the rare case that something is learned by that. */
  readonly accepted?: () => void
  /** The same with the error where it did not. */
  readonly refused?: (error: unknown) => void
}

/**
 * Something that has to be known before a statement can be routed: how far the replicas have got, which node is the primary of a newer
 * timeline, what the catalog says of a function, or how late the replicas are.
 */
export interface Look {
  readonly at: 'positions' | 'timeline' | 'first-catalog' | 'catalog' | 'lag'
  /** Ends by itself, and never rejects. */
  run(): Promise<void>
}

/** One more try at a statement: where, or, without a route, wherever it belongs by now. */
export interface Attempt {
  readonly route?: Route | undefined
  /** The nodes that were tried already: each is tried once. */
  readonly tried: ReadonlySet<Node> | undefined
  /** What was waited for, for its sake: each once. */
  readonly looked?: ReadonlySet<Look['at']> | undefined
  /** The replicas that turned out to be behind what was known of them, or cannot prove that they are not. */
  readonly unproven?: ReadonlySet<Node> | undefined
  /** Whether the primary could not even be connected to, although it is not known to be down yet. */
  readonly isPrimaryLost?: boolean
  /** Whether its node was connected to once more, without the read-only option that a pooler refused. */
  readonly didWithout?: boolean
}

/** The same attempt, with its route to be found anew. */
export function again(attempt: Attempt | undefined): Attempt {
  return { ...attempt, tried: attempt?.tried, route: undefined }
}
