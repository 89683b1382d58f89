import type { RequestMemory } from '../freshness/memory.ts'
import type { Position } from '../freshness/position.ts'
import { type Answered, type AnswerRow, canAsk } from '../nodes/asked-query.ts'
import { COMMIT_QUESTION, REPLICA_QUESTION, WROTE_QUESTION } from '../nodes/position-questions.ts'
import { isOfPrimary, type Session, transactionStatusOf } from '../nodes/session.ts'
import { askOn } from '../own-statements.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import type { Transaction } from './transaction.ts'

/** A replica is behind what its route claims, or cannot prove that it is not. Its answer is not used. */
export class StaleNode extends Error {}

/**
 * Makes sure that a session's server has replayed `position`. If the session has not reported this before, it is asked
 * by a statement of its own. The answer also holds for the next statement, because the session does not outlive a
 * crash. Behind a pooler it proves nothing: another session may serve that statement.
 *
 * @throws {StaleNode} if the server has not replayed it, or cannot prove it.
 */
export async function proveFresh(cluster: Cluster, session: Session, position: Position): Promise<void> {
  const { client, node } = session
  if (node.sighting?.isDirect !== true) throw new StaleNode()
  if (cluster.set.positions.hasReported(client, node, position)) return
  const askedAtMs = performance.now()
  const [row] = await askOn<ReplicaAnswer>(client, REPLICA_QUESTION)
  const answer: AnswerRow = [row?.position ?? null, row?.isolation ?? null]
  if (!isFresh(cluster, session, position, answer, askedAtMs)) throw new StaleNode()
}

interface ReplicaAnswer {
  readonly position: string | null
  readonly isolation: string
}

/** What a session is asked together with a statement, without a round trip. */
export interface Asked {
  /** What a replica must have replayed before; undefined for nothing. */
  readonly position: Position | undefined
  /** A question to a primary, right before the statement; undefined for none. */
  readonly before: string | undefined
  /** A question to the node, right after the statement; undefined for none. */
  readonly after: string | undefined
}

/** Gets the answers to the questions around a statement. Not called if the client cannot ask. */
export interface AnswerListener {
  onAnswer(told: Answered): void
}

/**
 * Runs a single statement on a session, with questions before and after it in the same message. Gives the result of the
 * statement. A session that has already reported to be far enough is not asked again.
 *
 * @throws {StaleNode} if the replica had not replayed the position before, whatever the statement itself gave.
 */
export async function runAsked<T>(
  cluster: Cluster,
  session: Session,
  { position, before, after }: Asked,
  listener: AnswerListener,
  run: () => Promise<T>,
): Promise<T> {
  const { node, client } = session
  const hasReported = position === undefined || cluster.set.positions.hasReported(client, node, position)
  if (!canAsk(client) || (!hasReported && node.beginsAboveReadCommitted)) {
    if (!hasReported) await proveFresh(cluster, session, position)
    return await run()
  }
  if (hasReported && before === undefined && after === undefined) return await run()
  const askedAtMs = performance.now()
  const answers = client.askWithNext({ before: hasReported ? before : REPLICA_QUESTION, after })
  const outcome = await run().then(
    (result) => () => result,
    (error: unknown) => () => {
      throw error
    },
  )
  if (!hasReported) {
    // If nothing was answered, the connection was lost before: this throws its error.
    if (answers.before === undefined) outcome()
    if (!isFresh(cluster, session, position, answers.before, askedAtMs) || node.beginsAboveReadCommitted) {
      throw new StaleNode()
    }
  }
  if (hasReported && before !== undefined && answers.before !== undefined) {
    listener.onAnswer({ client, askedAtMs, question: before, answer: answers.before })
  }
  if (after !== undefined && answers.after !== undefined) {
    listener.onAnswer({ client, askedAtMs, question: after, answer: answers.after })
  }
  return outcome()
}

/**
 * What to ask a session right before the COMMIT of its transaction; undefined for nothing. Nothing if the transaction
 * has failed, or may have: the server would refuse the question and skip the COMMIT, which must get the answer of a
 * rollback.
 */
export function questionBefore(
  session: Session,
  { kind, transaction: effect }: Statement,
  transaction: Transaction,
): string | undefined {
  if (kind !== 'session' || (effect !== 'commits' && effect !== 'commits-and-begins')) return undefined
  if (!transaction.isInQuestion || !isOfPrimary(session) || !tellsWrites(session)) return undefined
  return transactionStatusOf(session.client) === 'open' ? WROTE_QUESTION : undefined
}

/**
 * Whether the database user of this node may ask this. If the question were refused, the statement would be refused
 * with it.
 */
function tellsWrites({ node }: Session): boolean {
  return node.sighting?.tellsWrites === true
}

/**
 * What to ask a session right after a statement; undefined for nothing. In a transaction, its COMMIT asks whether it
 * wrote. With several statements in one text, or with a statement that changes its session, nothing can be asked.
 */
export function questionAfter(
  cluster: Cluster,
  session: Session,
  { kind, isAllOrNothing, mayWrite, isInDoubt, needsRows, isVouched, isSessionCall }: Statement,
  memory: RequestMemory | undefined,
  isInTransaction: boolean,
): string | undefined {
  if ((kind === 'session' && !isSessionCall) || !isAllOrNothing) return undefined
  const { node } = session
  const ofPosition = memory?.wantsSeen === true ? cluster.readPositions.questionFor(node) : undefined
  if (ofPosition !== undefined || node.role !== 'primary') return ofPosition
  const isRead = kind === 'read' || kind === 'primary-table' || isSessionCall || needsRows
  // Without replicas, no catalog is read that could vouch for anything, and no read can be stale.
  const isAskedOf = isRead && !isVouched && memory !== undefined && cluster.set.replicas.length > 0
  const isUnsure = isInDoubt || isAskedOf
  if (isUnsure && !isInTransaction && tellsWrites(session)) return WROTE_QUESTION
  return mayWrite && memory?.wantsPositions === true ? COMMIT_QUESTION : undefined
}

/** Whether a replica's answer to `REPLICA_QUESTION` on a session says that it has replayed `position`. */
function isFresh(
  cluster: Cluster,
  { node, client }: Session,
  { lsn }: Position,
  answer: AnswerRow | undefined,
  askedAtMs: number,
): boolean {
  if (answer === undefined) return false
  const [position, isolation] = answer
  node.sessionBegan(isolation)
  const told = cluster.set.positions.reported(client, node, position, askedAtMs)
  return told !== undefined && told >= lsn
}
