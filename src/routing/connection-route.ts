import type { RoutingContext } from '../freshness/context.ts'
import { ANY, type Requirement } from '../freshness/requirement.ts'
import type { Node } from '../nodes/node.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Opens } from '../sql/transaction-modes.ts'
import type { Cluster } from './cluster.ts'
import type { Mark } from './query.ts'
import {
  type Attempt,
  type Claim,
  IS_BOUND,
  IS_FIT,
  IS_LATE,
  IS_NAMED,
  IS_PRIMARY,
  type Route,
} from './route.ts'

/**
 * The route of a statement outside a transaction. `node` is where the connection is now; undefined for nowhere.
 *
 * The functions that give a route, in the order in which `StatementRun` comes to them:
 *
 * - `lookBeforeRoute`: not a route yet, but a wait that must come first
 * - `ReadOnlyBinding.routeOf`: in an open transaction
 * - `routeFrom`: outside one. The connection may stay on its node
 * - `Cluster.routeOf`: if it is on no node, or must leave it. By the statement's kind and mark
 * - `Cluster.routeOfRead`: of a read, by its requirement
 * - `ReadRouter.route`: if the requirement is `any` or `atLeast`. Chooses a replica
 * - `ReadRouter.routeOfUnknownPosition`: if nobody knows the position that the read demands
 * - `routeAroundRefusals`: last. The chosen replica may have refused this text before
 */
export function routeFrom(
  node: Node | undefined,
  cluster: Cluster,
  statement: Statement,
  context: RoutingContext | undefined,
  mark: Mark | undefined,
  before: Attempt | undefined,
): Route {
  if (statement.opens !== undefined)
    return routeOfTransaction(node, cluster, statement.opens, context, before)
  if (node === undefined || mark === 'to-primary') return cluster.routeOf(statement, context, mark, before)
  if (mark === 'to-replica') {
    const route = cluster.routeOf(statement, context, mark, before)
    if (route.reason === 'mark')
      return node === route.node || cluster.meets(node, ANY)
        ? { node, reason: 'mark', claim: claimOf(node, ANY) }
        : route
  }
  if (statement.kind !== 'read') {
    const route = cluster.routeOf(statement, context)
    // The statement stays on the primary, even if a `useNode()` was entered since: what an earlier statement left in
    // the session is there.
    return node === cluster.primary && route.node !== node
      ? { node, reason: 'same-connection', claim: IS_BOUND }
      : route
  }
  const requirement = cluster.requirementOf(context)
  if (node === cluster.primary && requirement.kind !== 'primary' && cluster.set.replicas.length > 0) {
    // What an earlier statement left in the session (a setting, a temporary table) is on the primary.
    return { node, reason: 'same-connection', claim: IS_BOUND }
  }
  if (!cluster.meets(node, requirement)) return cluster.routeOfRead(requirement, context, before)
  return { node, reason: requirement.reason, claim: claimOf(node, requirement) }
}

/** The route of a statement that begins a transaction. `node` is where the connection is now; undefined for nowhere. */
function routeOfTransaction(
  node: Node | undefined,
  cluster: Cluster,
  opens: Opens,
  context: RoutingContext | undefined,
  before: Attempt | undefined,
): Route {
  // A hot standby refuses a serializable transaction, even a read-only one.
  if (opens !== 'read-only') {
    cluster.refuseOnReplica('transaction', context)
    return { node: cluster.primary, reason: 'transaction', claim: IS_PRIMARY }
  }
  const requirement = cluster.requirementOf(context)
  const stays = node !== undefined && (node === cluster.primary || cluster.meets(node, requirement))
  return stays
    ? { node, reason: 'transaction', claim: claimOf(node, requirement) }
    : cluster.routeOfRead(requirement, context, before)
}

/** What is claimed of a node that meets the requirement, if the connection is already on it. */
export function claimOf(node: Node, requirement: Requirement): Claim {
  if (requirement.kind === 'named') return IS_NAMED
  if (node.role === 'primary') return IS_PRIMARY
  if (requirement.kind !== 'atLeast') return node.isEligible ? IS_FIT : IS_LATE
  const { position, comesFromReads = false } = requirement
  return { kind: 'fresh', position, observedIsEnough: comesFromReads }
}
