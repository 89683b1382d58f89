import type { TransactionSettings } from 'kysely'
import type { RoutingContext } from '../routing/context.ts'
import { ANY } from '../routing/requirement.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import type { Mark } from './marks.ts'
import type { NodeDriver } from './node-driver.ts'
import type { Attempt, Route } from './route.ts'

/** The route of a statement on a connection that is on `node` already, outside a transaction. */
export function routeFrom(
  node: NodeDriver | undefined,
  cluster: Cluster,
  statement: Statement,
  context: RoutingContext | undefined,
  mark: Mark | undefined,
  before: Attempt | undefined,
): Route {
  if (node === undefined || mark === 'to-primary') return cluster.routeOf(statement, context, mark, before)
  if (mark === 'to-replica') {
    const route = cluster.routeOf(statement, context, mark, before)
    if (route.reason === 'mark')
      return node === route.node || cluster.meets(node, ANY) ? { node, reason: 'mark' } : route
  }
  if (statement.kind !== 'read') {
    const route = cluster.routeOf(statement, context)
    // Nor does a `useNode()` that was entered later take it away from what it left there.
    return node === cluster.primary && route.node !== node ? { node, reason: 'same-connection' } : route
  }
  const requirement = cluster.requirementOf(context)
  if (node === cluster.primary && requirement.kind !== 'primary' && cluster.set.replicas.length > 0) {
    // What an earlier statement left in the session (a setting, a temporary table) is on the primary.
    return { node, reason: 'same-connection' }
  }
  if (!cluster.meets(node, requirement)) return cluster.routeOfRead(requirement, context, before)
  return { node, reason: requirement.reason }
}

/** The route of a transaction, on a connection that is on `node` already, after what was attempted before. */
export function routeOfTransaction(
  node: NodeDriver | undefined,
  cluster: Cluster,
  settings: TransactionSettings,
  context: RoutingContext | undefined,
  before: Attempt | undefined,
): Route {
  // PostgreSQL refuses a serializable transaction on a hot standby, a read-only one too.
  const isRead = settings.accessMode === 'read only' && settings.isolationLevel !== 'serializable'
  if (!isRead) {
    cluster.refuseOnReplica('transaction', context)
    return { node: cluster.primary, reason: 'transaction' }
  }
  const requirement = cluster.requirementOf(context)
  const stays = node !== undefined && (node === cluster.primary || cluster.meets(node, requirement))
  return stays ? { node, reason: 'transaction' } : cluster.routeOfRead(requirement, context, before)
}
