import type { RouteReason } from '../diagnostics.ts'
import type { Position } from './position.ts'

/**
 * What a read demands of the node that serves it, and why. This is the seam between the request side and the database
 * side: pins become requirements, and a dialect knows nothing of cookies.
 *
 * `comesFromReads` says that it comes from reads alone, so no write can be missed. Then a replica may serve while the
 * primary is down.
 */
export type Requirement =
  | { readonly kind: 'any'; readonly reason: RouteReason }
  | { readonly kind: 'primary'; readonly reason: RouteReason; readonly comesFromReads?: boolean }
  /** The primary, or a node that has replayed up to this position. */
  | {
      readonly kind: 'atLeast'
      readonly position: Position
      readonly reason: RouteReason
      readonly comesFromReads?: boolean
    }
  | { readonly kind: 'named'; readonly node: string; readonly reason: RouteReason }

export const ANY: Requirement = { kind: 'any', reason: 'read' }
export const PINNED: Requirement = { kind: 'primary', reason: 'pin' }
export const PINNED_BY_READS: Requirement = { kind: 'primary', reason: 'pin', comesFromReads: true }
export const IN_DOUBT: Requirement = { kind: 'primary', reason: 'bad-signature' }
export const WRITE_REQUEST: Requirement = { kind: 'primary', reason: 'write-request' }
export const OWN_WRITE: Requirement = { kind: 'primary', reason: 'own-write' }
export const USE_PRIMARY: Requirement = { kind: 'primary', reason: 'use-primary' }
export const USE_REPLICA: Requirement = { kind: 'any', reason: 'use-replica' }

/** The requirement of a route's `readFrom`: `'primary'`, `'replica'`, or a node's name. */
export function readFromRequirement(readFrom: string): Requirement {
  if (readFrom === 'primary') return { kind: 'primary', reason: 'read-from' }
  if (readFrom === 'replica') return { kind: 'any', reason: 'read-from' }
  return { kind: 'named', node: readFrom, reason: 'read-from' }
}
