import type { RouteReason } from '../diagnostics.ts'
import type { Position } from '../freshness/position.ts'
import type { Node } from '../nodes/node.ts'

/** What a route claims of its node. It must be true when the statement is sent, whatever was waited for since. */
export type Claim =
  | { readonly kind: 'primary' }
  | { readonly kind: 'fit' } // a replica that may serve reads
  | Fresh // such a replica, and it has replayed up to a position
  | { readonly kind: 'late' } // a replica that answers, however much it lags
  | { readonly kind: 'named' } // the node was asked for by name, and no other will do
  | { readonly kind: 'bound' } // the statement's transaction is there, or what an earlier statement left in the session

/**
 * `observedIsEnough`: the position comes from reads only, so no write can be missed. What was observed of the replica
 * is enough, even if the primary is gone.
 */
interface Fresh {
  readonly kind: 'fresh'
  readonly position: Position
  readonly observedIsEnough: boolean
}

export const IS_PRIMARY: Claim = { kind: 'primary' }
export const IS_FIT: Claim = { kind: 'fit' }
export const IS_LATE: Claim = { kind: 'late' }
export const IS_NAMED: Claim = { kind: 'named' }
export const IS_BOUND: Claim = { kind: 'bound' }

/** Whether the claim is about a replica, and another node would do as well. */
export function isMovable({ kind }: Claim): boolean {
  return kind === 'fit' || kind === 'fresh' || kind === 'late'
}

/** Where one statement goes, and why. */
export interface Route {
  readonly node: Node
  readonly reason: RouteReason
  readonly claim: Claim
  /**
   * Set if the read is on the primary only because it must show no older state than earlier reads.
   *
   * - `'position'`: the position of those is known. If this read fails on the primary, a replica that proves to be as
   *   far will do
   * - `'unknown'`: it is not known. Only if the primary is down, others serve
   */
  readonly seen?: 'position' | 'unknown' | undefined
  /** Whether this is a read that no replica could serve. The primary limits how many of these it serves at a time. */
  readonly spills?: boolean
  /** A wait that must come first. After that, the route is found again. */
  readonly look?: Look
  /** Called when the node has accepted the statement, in the rare case that this teaches something. */
  readonly accepted?: () => void
  /** Called with the error if the node has not accepted it. */
  readonly refused?: (error: unknown) => void
}

/**
 * A wait for something that the route depends on: how far the replicas are, which node is the primary of a newer
 * timeline, what the catalog says of a name, or how much the replicas lag.
 */
export interface Look {
  readonly at: 'positions' | 'timeline' | 'first-catalog' | 'catalog' | 'lag'
  /** Ends by itself, and never rejects. */
  run(): Promise<void>
}

/** One more try at a statement. Without a route, a new one is found. */
export interface Attempt {
  readonly route?: Route | undefined
  /** The nodes that were tried. Each is tried once. */
  readonly tried: ReadonlySet<Node> | undefined
  /** What was waited for. Each is waited for once. */
  readonly looked?: ReadonlySet<Look['at']> | undefined
  /**
   * The replicas that turned out to be behind the position that was claimed of them, or could not prove that they have
   * it.
   */
  readonly unproven?: ReadonlySet<Node> | undefined
  /** Whether connecting to the primary has failed, although it is not known to be down yet. */
  readonly isPrimaryLost?: boolean
  /** Whether the node was tried once more without the read-only start-up option, because a pooler refused that. */
  readonly retriedWithoutReadOnly?: boolean
}

/** The same attempt, with its route to be found again. */
export function again(attempt: Attempt | undefined): Attempt {
  return { ...attempt, tried: attempt?.tried, route: undefined }
}
