import { isOfPrimary } from '../nodes/session.ts'
import type { ConnectionParts } from './connection-parts.ts'
import type { RoutableStatement } from './read-only-binding.ts'
import type { Attempt, Look } from './route.ts'

/**
 * The look that must come before a statement can be routed: for an unknown function or relation, for the first catalog,
 * or for the timeline of its pin. Undefined if none is needed, or if it was made before.
 */
export function lookBeforeRoute(
  parts: ConnectionParts,
  routable: RoutableStatement,
  before: Attempt | undefined,
): Look | undefined {
  const { cluster, transaction } = parts
  const { statement, context, query } = routable
  const { unknownCall, unknownRelation, isEarly, kind, opens } = statement
  const unknown = unknownCall ?? unknownRelation
  const mayWrite = kind !== 'read' && opens !== 'read-only'
  const atTimeline = transaction.isOpen ? undefined : cluster.timelineLook(context, mayWrite, before)
  const at = isEarly ? 'first-catalog' : 'catalog'
  if (atTimeline !== undefined || before?.looked?.has(at)) return atTimeline
  if (unknownCall === undefined && isBoundForPrimary(parts, routable)) return undefined
  // The transaction may have made this object itself, such as a temporary table. The catalog reader cannot see that.
  if (transaction.hasDefined) return undefined
  const { classifier, catalog } = cluster
  // If only the first reading is missing then (`isEarly`), that is a look of its own.
  const isKnown = () => {
    const { isUnknown, isEarly } = classifier.classify(query.text)
    return !isUnknown || isEarly
  }
  const run =
    unknown === undefined ? isEarly && catalog.firstReading() : catalog.waitForName(unknown, isKnown)
  return run ? { at, run } : undefined
}

/** Whether the statement runs on the primary whatever the catalog says. There the server tells whether it wrote. */
function isBoundForPrimary(
  { cluster, held, transaction, binding }: ConnectionParts,
  { statement, context, query }: RoutableStatement,
): boolean {
  if (transaction.isOpen) return !binding.isBoundBy(statement)
  if (held.current !== undefined) return isOfPrimary(held.current)
  return query.mark === 'to-primary' || cluster.demandsPrimary(context)
}
