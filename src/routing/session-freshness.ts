import type { RequestMemory } from '../freshness/memory.ts'
import type { Position } from '../freshness/position.ts'
import { type AnswerRow, canAsk, type Told } from '../nodes/asked-query.ts'
import { COMMIT_QUESTION, REPLICA_QUESTION, WROTE_QUESTION } from '../nodes/position-questions.ts'
import { isOfPrimary, type Session, transactionStatusOf } from '../nodes/session.ts'
import { askOn } from '../own-statements.ts'
import type { Statement } from '../sql/classifier.ts'
import type { Cluster } from './cluster.ts'
import type { Transaction } from './transaction.ts'

/** A replica is behind what its route claims, or cannot prove that it is not: what it answers is not used. */
export class StaleNode extends Error {}

/**
 * Sees to it that a session's server has replayed `position`, by a question of its own where the session has not told so before. It
 * holds for what is sent next: the session does not outlive a crash. Behind a pooler that is another session's affair.
 *
 * @throws {StaleNode} where it has not.
 */
export async function proveFresh(cluster: Cluster, session: Session, position: Position): Promise<void> {
  const { client, node } = session
  if (node.sighting?.isDirect !== true) throw new StaleNode()
  if (cluster.set.positions.hasTold(client, node, position)) return
  const askedAtMs = performance.now()
  const [row] = await askOn<ReplicaAnswer>(client, REPLICA_QUESTION)
  const answer: AnswerRow = [row?.position ?? null, row?.isolation ?? null]
  if (!isFresh(cluster, session, position, answer, askedAtMs)) throw new StaleNode()
}

interface ReplicaAnswer {
  readonly position: string | null
  readonly isolation: string
}

/** What a statement's session is asked together with it, at no round trip. */
export interface Asked {
  /** What a replica must have replayed before; undefined for nothing. */
  readonly position: Position | undefined
  /** A question to a primary, to be asked right before it; undefined for none. */
  readonly before: string | undefined
  /** The same right after it. */
  readonly after: string | undefined
}

/** Who is told what came back around a statement; not where its client cannot ask. */
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
  { position, before, after }: Asked,
  hearer: Hearer,
  run: () => Promise<T>,
): Promise<T> {
  const { node, client } = session
  const hasTold = position === undefined || cluster.set.positions.hasTold(client, node, position)
  if (!canAsk(client) || (!hasTold && node.hasSnapshots)) {
    if (!hasTold) await proveFresh(cluster, session, position)
    return await run()
  }
  if (hasTold && before === undefined && after === undefined) return await run()
  const askedAtMs = performance.now()
  const answers = client.askAroundNext({ before: hasTold ? before : REPLICA_QUESTION, after })
  const outcome = await run().then(
    (result) => () => result,
    (error: unknown) => () => {
      throw error
    },
  )
  if (!hasTold) {
    // The connection was lost before anything was answered.
    if (answers.before === undefined) outcome()
    if (!isFresh(cluster, session, position, answers.before, askedAtMs) || node.hasSnapshots) {
      throw new StaleNode()
    }
  }
  if (hasTold && before !== undefined && answers.before !== undefined) {
    hearer.hear({ client, askedAtMs, question: before, answer: answers.before })
  }
  if (after !== undefined && answers.after !== undefined) {
    hearer.hear({ client, askedAtMs, question: after, answer: answers.after })
  }
  return outcome()
}

/**
 * What a session is asked right before the commit of its transaction; undefined for nothing. Never where the transaction has failed, or may
 * have: the server refuses the question then, and skips the commit, whose answer has to be that of a rollback.
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

/** Whether its role may ask so: a question that is refused would have the statement refused as well. */
function tellsWrites({ node }: Session): boolean {
  return node.sighting?.tellsWrites === true
}

/**
 * What a session is asked right after a statement; undefined for nothing. In a transaction, its commit asks whether it wrote. Of several
 * statements in one text, or one that changes its session, nobody can be asked along.
 */
export function questionAfter(
  cluster: Cluster,
  session: Session,
  { kind, isAllOrNothing, mayWrite, isInDoubt, isRowless, isVouched, isSessionCall }: Statement,
  memory: RequestMemory | undefined,
  isInTransaction: boolean,
): string | undefined {
  if ((kind === 'session' && !isSessionCall) || !isAllOrNothing) return undefined
  const { node } = session
  const ofPosition = memory?.wantsSeen === true ? cluster.seen.questionFor(node) : undefined
  if (ofPosition !== undefined || node.role !== 'primary') return ofPosition
  const isRead = kind === 'read' || kind === 'primary-table' || isSessionCall || isRowless
  // Without replicas no catalog is read that could vouch for anything, and no read can be too old.
  const isAskedOf = isRead && !isVouched && memory !== undefined && cluster.set.replicas.length > 0
  const isUnsure = isInDoubt || isAskedOf
  if (isUnsure && !isInTransaction && tellsWrites(session)) return WROTE_QUESTION
  return mayWrite && memory?.wantsPositions === true ? COMMIT_QUESTION : undefined
}

/** Whether a replica that was asked `REPLICA_QUESTION` on a session has replayed `position`. */
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
  const told = cluster.set.positions.told(client, node, position, askedAtMs)
  return told !== undefined && told >= lsn
}
