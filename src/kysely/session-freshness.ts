import { CompiledQuery } from 'kysely'
import { type AnswerRow, canAsk } from '../replicas/asked-query.ts'
import type { PoolClientLike } from '../replicas/pool.ts'
import { REPLICA_QUESTION } from '../replicas/session-questions.ts'
import type { Position } from '../routing/position.ts'
import type { Cluster } from './cluster.ts'
import type { Session } from './node-driver.ts'

/** A replica is behind what its route claims, or cannot prove that it is not: what it answers is not used. */
export class StaleNode extends Error {}

/**
 * Runs a read on a session of a replica, and gives what it gives if the server had replayed `position` before; it is asked in the
 * same message, at no round trip. A session that has told so before is not asked again.
 *
 * @throws {StaleNode} where it had not, whatever the read itself gave.
 */
export async function runFresh<T>(
  cluster: Cluster,
  session: Session,
  position: Position,
  run: () => Promise<T>,
): Promise<T> {
  const { node } = session
  const { positions } = cluster.set
  const client = await session.client
  if (client === undefined) throw new StaleNode()
  if (positions.hasTold(client, node, position)) return await run()
  if (!canAsk(client) || node.hasSnapshots) {
    await proveFresh(cluster, session, position)
    return await run()
  }
  const askedAtMs = performance.now()
  const answers = client.askAroundNext({ before: REPLICA_QUESTION })
  const outcome = await run().then(
    (result) => () => result,
    (error: unknown) => () => {
      throw error
    },
  )
  // The connection was lost before anything was answered.
  if (answers.before === undefined) outcome()
  if (!isFresh(cluster, session, client, position, answers.before, askedAtMs) || node.hasSnapshots) {
    throw new StaleNode()
  }
  return outcome()
}

/**
 * Sees to it that a session's server has replayed `position`, by a question of its own where the session has not told so before. It
 * holds for what is sent next: the session does not outlive a crash. Behind a pooler that is another session's affair.
 *
 * @throws {StaleNode} where it has not.
 */
export async function proveFresh(cluster: Cluster, session: Session, position: Position): Promise<void> {
  const client = await session.client
  if (client === undefined || session.node.sighting?.isDirect !== true) throw new StaleNode()
  if (cluster.set.positions.hasTold(client, session.node, position)) return
  const askedAtMs = performance.now()
  const { rows } = await session.connection.executeQuery<{ position: string | null; isolation: string }>(ASK)
  const answer: AnswerRow = [rows[0]?.position ?? null, rows[0]?.isolation ?? null]
  if (!isFresh(cluster, session, client, position, answer, askedAtMs)) throw new StaleNode()
}

const ASK = CompiledQuery.raw(REPLICA_QUESTION)

function isFresh(
  cluster: Cluster,
  { node }: Session,
  client: PoolClientLike,
  { lsn }: Position,
  answer: AnswerRow | undefined,
  askedAtMs: number,
): boolean {
  const told = answer && cluster.set.positions.told(client, node, answer, askedAtMs)
  return told !== undefined && told >= lsn
}
