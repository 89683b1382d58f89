import { refusalOf } from '../nodes/error-meaning.ts'
import type { Node } from '../nodes/node.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import { IS_PRIMARY, type Route } from './route.ts'

/** The route of a read, whose node has refused some texts: to the primary while this one rests there. */
export function aroundRefusals(cluster: Cluster, route: Route, sql: string): Route {
  const { node, claim, reason } = route
  const { refused } = node
  if (refused === undefined || node === cluster.primary) return route
  // Who asks for this node gets its refusal.
  if (reason === 'use-node' || claim.kind === 'bound') return route
  const asks = refused.ask(sql)
  if (asks === 'new') return route
  if (asks === 'resting') return { node: cluster.primary, reason: 'refused', claim: IS_PRIMARY }
  return { ...route, accepted: () => node.accepted(sql) }
}

/**
 * The route to the primary of what a replica has refused. Only if the primary accepts it, the text rests on that replica: a statement
 * that both refuse is at fault itself, and is not asked twice again for a while.
 */
export function routeOfRefused(cluster: Cluster, node: Node, sql: string, error: unknown): Route {
  const route: Route = { node: cluster.primary, reason: 'refused', claim: IS_PRIMARY }
  if (refusalOf(error) === 'read-only') return route
  const accepted = () => {
    node.lostRead()
    if (node.refusedAlone(sql, error)) cluster.set.reports.keepsRefusing(node, error)
  }
  const refused = (given: unknown) => node.refusedLikePrimary(given, sql, error)
  return { ...route, accepted, refused }
}

/** What a statement that a replica refused is, if it was refused because it writes; its text is known as that from now on. */
export function statementOfRefused(
  cluster: Cluster,
  route: Route,
  sql: string,
  error: unknown,
): Statement | undefined {
  if (route.reason === 'use-node' || refusalOf(error) !== 'read-only') return undefined
  return cluster.classifier.learnRefused(sql)
}
