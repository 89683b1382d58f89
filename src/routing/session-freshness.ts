import { CompiledQuery } from 'kysely'
import type { Position } from '../freshness/position.ts'
import type { AnswerRow } from '../nodes/asked-query.ts'
import type { PoolClientLike } from '../nodes/pool.ts'
import { REPLICA_QUESTION } from '../nodes/session-questions.ts'
import type { Cluster } from './cluster.ts'
import type { Session } from './node-driver.ts'

/** A replica is behind what its route claims, or cannot prove that it is not: what it answers is not used. */
export class StaleNode extends Error {}

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

/** Whether a replica that was asked `REPLICA_QUESTION` on a session has replayed `position`. */
export function isFresh(
  cluster: Cluster,
  { node }: Session,
  client: PoolClientLike,
  { lsn }: Position,
  answer: AnswerRow | undefined,
  askedAtMs: number,
): boolean {
  if (answer === undefined) return false
  const [position, isolation] = answer
  node.hasSnapshots = isolation !== 'read committed'
  const told = cluster.set.positions.told(client, node, position, askedAtMs)
  return told !== undefined && told >= lsn
}
