import { WritePinningError } from '../errors.ts'
import type { RoutingContext } from '../freshness/context.ts'
import { type Failure, refusalOf } from '../nodes/error-meaning.ts'
import type { Node } from '../nodes/node.ts'
import { isOfNode } from '../nodes/session.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import { routeFrom } from './connection-route.ts'
import type { Mark } from './query.ts'
import { type Attempt, IS_PRIMARY, type Route } from './route.ts'

/** A statement whose attempt on a node failed. */
export interface FailedStatement {
  readonly error: unknown
  readonly sql: string
  readonly statement: Statement
  readonly mark: Mark | undefined
  readonly context: RoutingContext | undefined
  readonly route: Route
  /** What was attempted before. */
  readonly before: Attempt | undefined
  /** Whether it may have reached the server. */
  readonly wasSent: boolean
  /** Whether its node was the primary when the session was taken. It may be none now. */
  readonly wasPrimary: boolean
  /** Whether the connection was on the node before. What it left in that session is lost with it. */
  readonly wasBound: boolean
  /** Whether it may run again: it is outside a transaction, and has delivered no row. */
  readonly mayRunAnew: boolean
}

/**
 * Where to try a failed statement again; undefined if its error surfaces. It is tried again only if it is known to have
 * had no effect: it was never sent, it was refused, or it is a read of which no row was delivered.
 */
export async function nextAttempt(cluster: Cluster, failed: FailedStatement): Promise<Attempt | undefined> {
  const { error, route, wasSent, before } = failed
  if (!wasSent && !isOfNode(error)) return undefined
  const failure = cluster.set.heard(route.node, error)
  if (wasSent) route.refused?.(error)
  if (!failed.mayRunAnew) return undefined
  if (!wasSent && !mayMove(failed) && !cluster.holds(route) && !before?.tried?.has(route.node)) {
    // The statement needs the primary, and that is another node now.
    return { tried: new Set(before?.tried).add(route.node) }
  }
  if (failed.wasPrimary || route.node.role === 'primary' || route.node === cluster.primary) {
    return await afterPrimary(cluster, failed, failure)
  }
  if (wasSent && failure === 'misrouted')
    return failed.statement.opens === undefined ? onPrimary(cluster, failed) : undefined
  if (!mayMove(failed)) return undefined
  const isNodesFault = !wasSent || failure === 'lost' || failure === 'never-sent' || failure === 'conflict'
  return isNodesFault || failure === 'overload'
    ? elsewhere(cluster, failed, { isConflict: failure === 'conflict' })
    : undefined
}

async function afterPrimary(
  cluster: Cluster,
  failed: FailedStatement,
  failure: Failure,
): Promise<Attempt | undefined> {
  const { error, route, wasSent, before } = failed
  const { node } = route
  const tried = before?.tried
  if (wasSent && refusalOf(error) === 'read-only') {
    // A server in recovery refused it: the primary was demoted.
    if (failed.wasBound || tried?.has(node) || !(await cluster.set.wasDemoted(node))) return undefined
    node.pool.recycle()
    return { tried: new Set(tried).add(node) }
  }
  // It was sent, and what came back is the answer to it.
  if (wasSent && failure !== 'lost' && failure !== 'never-sent' && failure !== 'overload') return undefined
  // A user who has not written must not suffer from a primary that is down.
  if (route.seen !== undefined && failure === 'lost' && mayMove(failed)) {
    const isLost = !wasSent && before?.isPrimaryLost !== true
    const next =
      route.seen === 'position' || isLost ? elsewhere(cluster, failed, { isPrimaryLost: isLost }) : undefined
    if (next !== undefined) return next
  }
  // Another try helps in these cases:
  // - The statement never ran, and another node is the primary now.
  // - The connection was dead before the statement was handed to it.
  // - The connection was lost under a read, or as a transaction began. This runs again over another connection.
  const hasNoEffect = mayMove(failed) || failed.statement.opens !== undefined
  const isLostRead = wasSent && failure === 'lost' && hasNoEffect
  const neverRan = !wasSent || failure === 'never-sent'
  const wouldHelp = failure === 'never-sent' || isLostRead || (neverRan && cluster.primary !== node)
  if (wouldHelp && !failed.wasBound && !tried?.has(node)) {
    return { ...before, route: undefined, tried: new Set(tried).add(node) }
  }
  // A bound statement stays with its error. Only a read that spilled onto the primary may go to a late replica.
  return mayMove(failed) && route.spills ? elsewhere(cluster, failed, { isPrimaryLost: true }) : undefined
}

/**
 * Whether another node would do as well: it is a read, nobody asked for this node by name, and nothing was left in the
 * session.
 */
function mayMove({ statement, mark, route, wasPrimary }: FailedStatement): boolean {
  if (route.reason === 'use-node' || route.reason === 'same-connection') return false
  if (route.claim.kind === 'named' || route.claim.kind === 'bound') return false
  if (statement.kind === 'read' || statement.opens === 'read-only') return true
  return mark === 'to-replica' && route.node.role === 'replica' && !wasPrimary
}

function elsewhere(
  cluster: Cluster,
  failed: FailedStatement,
  { isConflict = false, isPrimaryLost = failed.before?.isPrimaryLost === true } = {},
): Attempt | undefined {
  const { statement, context, mark, before } = failed
  const { node } = failed.route
  const tried = new Set(before?.tried).add(node)
  const attempt: Attempt = { ...before, route: undefined, tried, isPrimaryLost }
  try {
    const route = routeFrom(undefined, cluster, statement, context, mark, attempt)
    if (route.look === undefined && tried.has(route.node)) return undefined
    node.lostRead()
    // The replicas are fit. Only this read was in the way of their replay, so it does not count as spilled.
    return {
      ...attempt,
      route: isConflict && route.spills ? { ...route, reason: 'moved', spills: false } : route,
    }
  } catch {
    // No other node is fit, so the error of this node surfaces.
    return undefined
  }
}

/** The attempt on the primary, for what a replica refused. */
function onPrimary(cluster: Cluster, { route, before, sql, error }: FailedStatement): Attempt | undefined {
  if (route.reason === 'use-node') return undefined
  // The primary has just given the same error.
  if (route.node.confirmedErrors?.isConfirmed(sql, error)) return undefined
  return {
    route: routeOfRefused(cluster, route.node, sql, error),
    tried: new Set(before?.tried).add(route.node),
  }
}

/**
 * The route of a read on a node that has refused some texts. For as long as that node is not asked for this text, the
 * primary gets it.
 */
export function routeAroundRefusals(cluster: Cluster, route: Route, sql: string): Route {
  const { node, claim, reason } = route
  const { refused } = node
  if (refused === undefined || node === cluster.primary) return route
  // A statement that needs this very node gets its refusal.
  if (reason === 'use-node' || claim.kind === 'bound') return route
  const asks = refused.ask(sql)
  if (asks === 'new') return route
  if (asks === 'resting') return { node: cluster.primary, reason: 'refused', claim: IS_PRIMARY }
  return { ...route, accepted: () => node.accepted(sql) }
}

/**
 * The route to the primary for what a replica has refused. Only if the primary accepts the text, that replica is not
 * asked for it for a while. If both refuse it, the statement itself is at fault, and for a while the primary is not
 * asked again.
 */
function routeOfRefused(cluster: Cluster, node: Node, sql: string, error: unknown): Route {
  const route: Route = { node: cluster.primary, reason: 'refused', claim: IS_PRIMARY }
  if (refusalOf(error) === 'read-only') return route
  const accepted = () => {
    node.lostRead()
    if (node.refusedAlone(sql, error)) cluster.set.reports.keepsRefusing(node, error)
  }
  const refused = (given: unknown) => node.refusedLikePrimary(given, sql, error)
  return { ...route, accepted, refused }
}

/**
 * Classifies a statement once more that a replica refused because it writes. Undefined if it was refused for another
 * reason. This holds for its text until the catalog changes. If the catalog calls the statement a read, the catalog may
 * be out of date.
 */
export function statementOfRefused(
  cluster: Cluster,
  route: Route,
  { kind }: Statement,
  sql: string,
  error: unknown,
): Statement | undefined {
  if (route.reason === 'use-node' || kind === 'session' || refusalOf(error) !== 'read-only') return undefined
  if (kind === 'read') cluster.catalog.sawUnexpectedWrite()
  return cluster.classifier.learnRefused(sql)
}

export function tooManyAttempts(cluster: string, attempts: number): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_NODE_UNAVAILABLE',
    `A statement of cluster '${cluster}' was given up after ${attempts} attempts: each time what was known of a node did not hold any more.`,
    { statusCode: 503 },
  )
}
