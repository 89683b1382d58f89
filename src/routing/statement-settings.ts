import { isRefusal, refusesSettings } from '../nodes/error-meaning.ts'
import { isOfPrimary, type Session } from '../nodes/session.ts'
import { settingsOf } from '../nodes/session-settings.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import type { ConnectionParts } from './connection-parts.ts'
import type { Query } from './query.ts'
import type { RoutableStatement } from './read-only-binding.ts'
import { type Attempt, again, IS_PRIMARY, isMovable, type Route } from './route.ts'

// What the settings of a client mean for one statement on its way.

/** Classifies a query once more, now for this client. */
export function reclassify(
  { cluster, settings, transaction }: ConnectionParts,
  query: Query<unknown>,
): Statement {
  const follow = () => cluster.followsSettings()
  const isInTransaction = transaction.isOpen
  return settings.reclassify(cluster.classifier.classify(query.text), query, { isInTransaction, follow })
}

/** The route of a statement if a replica cannot take over, or refuses, the settings of the client. */
export function routeAfterRefusedSettings({ primary }: Cluster): Route {
  return { node: primary, reason: 'refused', claim: IS_PRIMARY }
}

/**
 * Prepares a session that is set to something else than its client wants. Undefined if the settings are sent ahead of
 * the next statement. Otherwise resolves to false if the session will not do.
 */
export function prepareSettings(
  { cluster, held, settings }: ConnectionParts,
  lent: Session,
): Promise<boolean> | undefined {
  if (settingsOf(lent.client) !== undefined) {
    cluster.writePositions.forget(lent.client)
    return undefined
  }
  held.closeOnceLeft()
  // The caller's own pool made this client before this package gave that pool its client class. On a new client,
  // settings can be sent ahead.
  if (lent.node.pool.carriesSettings) return Promise.resolve(false)
  return settings.sendTo(lent).then(() => true)
}

/** A statement has set something, and its session has accepted it. */
export function noteSettings(
  parts: ConnectionParts,
  { statement, query }: RoutableStatement,
  session: Session,
): void {
  const { settings, transaction, cluster } = parts
  settings.ran(statement, query, session, transaction.isOpen)
  if (!isOfPrimary(session)) return
  cluster.writePositions.forget(session.client)
  cluster.named.ran(statement, session.client)
}

/** An attempt that has failed on a session. */
interface FailedAttempt {
  readonly error: unknown
  readonly session: Session
  readonly route: Route
  readonly before: Attempt | undefined
}

/**
 * Where to try next if a session refused the client's settings: earlier ones, or what this statement sets. Then the
 * statement itself never ran. A replica may not have replayed what the setting needs, such as a role. Undefined if the
 * session refused something else. Throws the refusal if no other node may serve.
 */
export function attemptAfterRefusedSettings(
  { held, settings, transaction, cluster }: ConnectionParts,
  { statement, query }: RoutableStatement,
  { error, session, route, before }: FailedAttempt,
): Attempt | undefined {
  const refusal = settingsOf(session.client)?.failure
  if (refusal !== undefined) {
    held.mistrust(refusal.error)
    held.letGo(false)
    // A cancel or the like is about the statement. Only this session is of no use any more.
    if (!refusesSettings(refusal.error)) return undefined
    settings.wasRefusedBy(session.node)
  }
  const isItself = statement.sets !== undefined && !transaction.isOpen && isRefusal(error)
  if (refusal === undefined && !isItself) return undefined
  const mayMove = isMovable(route.claim) && query.mayBeSentAgain && query.signal?.aborted !== true
  if (mayMove) return { ...again(before), route: routeAfterRefusedSettings(cluster) }
  if (refusal !== undefined) throw refusal.error
  return undefined
}
