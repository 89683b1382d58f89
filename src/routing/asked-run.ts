import type { Position } from '../freshness/position.ts'
import { canAsk, type Told } from '../nodes/asked-query.ts'
import { REPLICA_QUESTION } from '../nodes/session-questions.ts'
import type { Cluster } from './cluster.ts'
import type { Session } from './node-driver.ts'
import { isFresh, proveFresh, StaleNode } from './session-freshness.ts'

/** What a statement's session is asked together with it, at no round trip. */
export interface Asked {
  /** What a replica must have replayed before; undefined for nothing. */
  readonly position: Position | undefined
  /** A question to be asked right after it; undefined for none. */
  readonly after: string | undefined
}

/** Who is told what came back after a statement; not where its client cannot ask. */
export interface Hearer {
  hear(told: Told): void
}

/**
 * Runs a single statement on a session, asks what is to be known around it, and gives what it gives. A session that has told that it is
 * far enough is not asked again.
 *
 * @throws {StaleNode} where the replica had not replayed the position before, whatever the statement itself gave.
 */
export async function runAsked<T>(
  cluster: Cluster,
  session: Session,
  { position, after }: Asked,
  hearer: Hearer,
  run: () => Promise<T>,
): Promise<T> {
  const { node } = session
  const client = await session.client
  const hasTold =
    position === undefined || (client && cluster.set.positions.hasTold(client, node, position)) === true
  if (client === undefined || !canAsk(client) || (!hasTold && node.hasSnapshots)) {
    if (!hasTold) await proveFresh(cluster, session, position)
    return await run()
  }
  if (hasTold && after === undefined) return await run()
  const askedAtMs = performance.now()
  const answers = client.askAroundNext({ before: hasTold ? undefined : REPLICA_QUESTION, after })
  const outcome = await run().then(
    (result) => () => result,
    (error: unknown) => () => {
      throw error
    },
  )
  if (!hasTold) {
    // The connection was lost before anything was answered.
    if (answers.before === undefined) outcome()
    if (!isFresh(cluster, session, client, position, answers.before, askedAtMs) || node.hasSnapshots) {
      throw new StaleNode()
    }
  }
  if (after !== undefined && answers.after !== undefined) {
    hearer.hear({ client, askedAtMs, question: after, answer: answers.after })
  }
  return outcome()
}
