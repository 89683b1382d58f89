import { type History, haveSameHistory, type Position } from '../freshness/position.ts'
import { beforePageHeader, type Lsn, parseLsn } from '../lsn.ts'
import type { ReplayedAnswer } from './lag.ts'
import type { Node } from './node.ts'
import {
  COMMITTED_QUERY,
  type CommitKind,
  type CommittedRow,
  REPLAYED_QUERY,
  type ReplayedRow,
} from './position-questions.ts'
import { withinRunningTime } from './running-time.ts'
import { SharedQuery } from './shared-query.ts'

/** How long an answer may take, in ms. If none comes, the primary serves, or the pin is a time pin. */
const TIMEOUT_MS = 250
/** The pause between two questions to replicas that have not caught up yet, in ms. */
const PAUSE_MS = 5

/** The nodes whose positions are read. */
interface Positioned {
  readonly primary: Node
  readonly eligible: readonly Node[]
}

/** Reads exact WAL positions when they are needed: the primary's after a commit, a replica's before a read. */
export class ExactPositions {
  readonly #set: Positioned
  readonly #primaries = new Map<Node, SharedQuery<CommittedRow>>()
  readonly #replicas = new Map<Node, SharedQuery<ReplayedRow>>()
  /** When the primary last loaded its configuration. */
  #configuredAt: string | undefined
  /**
   * How often the primary was seen to have loaded its configuration again. After each time, the settings that were
   * found for a session may be out of date.
   */
  #configuration = 0
  /** The position that each session last reported for its server. */
  #reported = new WeakMap<object, Lsn>()
  #isStopped = false

  constructor(set: Positioned) {
    this.#set = set
  }

  /**
   * A position that covers every commit that has returned by now; undefined if it cannot be read.
   *
   * After a synchronous commit the flushed position is exact. Otherwise only the insert position is safe. At the end
   * of a page it points past the header of the next page, which is not there yet
   * (https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-ADMIN-BACKUP).
   */
  async committed(kind: CommitKind): Promise<Position | undefined> {
    const asked = this.#configuration
    const answer = await this.#queryOf(this.#primaries, this.#set.primary, COMMITTED_QUERY).ask()
    if (answer === undefined) return undefined
    const { row } = answer
    if (this.#configuredAt !== undefined && this.#configuredAt !== row.configuredAt) this.#configuration++
    this.#configuredAt = row.configuredAt
    const inserted = parseLsn(row.inserted)
    const unflushed = inserted && beforePageHeader(inserted, Number(row.segmentSize))
    const isFlushed = kind === 'flushed' && asked === this.#configuration
    const lsn = isFlushed ? parseLsn(row.flushed) : unflushed
    if (lsn === undefined) return undefined
    return { systemId: row.systemId, timeline: row.timeline, lsn }
  }

  get configuration(): number {
    return this.#configuration
  }

  /** Whether it is sure that a replica has replayed that far in the primary's history. */
  hasReplayed(node: Node, { lsn }: Position): boolean {
    const { lsn: replayed } = node.replayed
    if (node.loadBalanced || replayed === undefined || replayed < lsn) return false
    return isDirect(node) || !node.beginsAboveReadCommitted
  }

  /**
   * The history of a replica's positions, as far as is known. If the replica follows a newer timeline than the
   * primary is known to be on, it is the history of that timeline.
   */
  historyOf(node: Node): History | undefined {
    const its = this.#set.primary.sighting
    const systemId = its?.systemId ?? node.sighting?.systemId
    const timeline = Math.max(its?.timeline ?? 0, node.sighting?.timeline ?? 0)
    return systemId === undefined || timeline === 0 ? undefined : { systemId, timeline }
  }

  /**
   * Whether a replica has reported to have replayed that far, even if the primary is gone or another node is the
   * primary now. This is enough for a reader who has only read.
   */
  hasObserved(node: Node, position: Position): boolean {
    const history = this.historyOf(node)
    if (history === undefined || !haveSameHistory(history, position)) return false
    // Behind a load-balanced address, only the session that serves the read can tell, so it is asked later.
    return node.loadBalanced || (node.observed.lsn ?? 0n) >= position.lsn
  }

  /**
   * Whether this very session has reported that its server has replayed that far. A session does not outlive a crash.
   * Behind a pooler it may belong to another server by now.
   */
  hasReported(client: object, node: Node, { lsn }: Position): boolean {
    const reported = isDirect(node) ? this.#reported.get(client) : undefined
    return reported !== undefined && reported >= lsn
  }

  /**
   * Records how far a replica has replayed, as one of its sessions reported. Gives that position; undefined if the
   * server is no replica (any more).
   */
  reported(
    client: object,
    node: Node,
    position: string | null | undefined,
    askedAtMs: number,
  ): Lsn | undefined {
    const lsn = parseLsn(position)
    if (lsn === undefined) return undefined
    this.#reported.set(client, lsn)
    this.#saw(node, { lsn, askedAtMs, startedAt: undefined })
    return lsn
  }

  /** Another node is the primary now, so the positions that sessions reported may belong to another history. */
  forgetReported(): void {
    this.#reported = new WeakMap()
  }

  /**
   * Whether a position belongs to the primary's history, as it is known. In another history the same number is
   * another record.
   */
  isComparable({ systemId, timeline }: Position): boolean {
    const its = this.#set.primary.sighting
    return its?.systemId === systemId && its.timeline === timeline && !its.isInRecovery
  }

  /**
   * Looks how far the eligible replicas have replayed, again and again until one has replayed `position` or `waitMs`
   * are over. All who wait share one look. After each look, `has` says whether a replica has replayed it.
   */
  async lookFor(
    position: Position,
    waitMs: number,
    has = (node: Node) => this.hasReplayed(node, position),
  ): Promise<void> {
    const untilMs = performance.now() + waitMs
    const isWritten = waitMs > 0 ? this.#isWritten(position) : undefined
    for (let isFirst = true; ; isFirst = false) {
      // A caller who comes during a look gets the next look. The timeout covers the rest of the current look and the
      // next one, so nobody waits twice for a server that does not answer.
      const hasOne = await withinRunningTime(this.#any(has), TIMEOUT_MS).catch(() => false)
      if (hasOne || performance.now() + PAUSE_MS >= untilMs) return
      // A forged pin may name a position that was never written. No replica ever reaches it.
      if ((isFirst && !(await isWritten)) || this.#isStopped) return
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }

  /**
   * Asks the eligible replicas. True as soon as `has` is true for one, false if it is for none when all have answered.
   */
  #any(has: (node: Node) => boolean): Promise<boolean> {
    const nodes = this.#set.eligible.filter((node) => !node.loadBalanced)
    return new Promise((resolve) => {
      let left = nodes.length
      if (left === 0) resolve(false)
      for (const node of nodes) {
        void this.replayed(node).then(() => {
          left--
          if (has(node)) resolve(true)
          else if (left === 0) resolve(false)
        })
      }
    })
  }

  async #isWritten(position: Position): Promise<boolean> {
    const written = await this.committed('unflushed')
    return written !== undefined && haveSameHistory(written, position) && written.lsn >= position.lsn
  }

  /** Asks a replica now how far it has replayed. Undefined if that cannot be known. */
  async replayed(node: Node): Promise<Lsn | undefined> {
    const answer = await this.#queryOf(this.#replicas, node, REPLAYED_QUERY).ask()
    const lsn = parseLsn(answer?.row.position)
    if (answer === undefined || lsn === undefined) return undefined
    this.#saw(node, { lsn, askedAtMs: answer.askedAtMs, startedAt: answer.row.startedAt })
    return lsn
  }

  /**
   * Records how far a replica has replayed. While the primary is down, that is not sure: the replica may follow
   * another primary. On that one's timeline the same number is another record, and the replica may report its new
   * timeline late.
   */
  #saw(node: Node, answer: ReplayedAnswer): void {
    node.hadReplayed(answer, this.#set.primary.isUp)
  }

  /** Forgets a node that is gone, and closes the connections to it. */
  async forget(node: Node): Promise<void> {
    const queries = [this.#primaries.get(node), this.#replicas.get(node)]
    this.#primaries.delete(node)
    this.#replicas.delete(node)
    await Promise.all(queries.map((query) => query?.stop()))
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    const queries = [...this.#primaries.values(), ...this.#replicas.values()]
    await Promise.all(queries.map((query) => query.stop()))
  }

  #queryOf<Row>(queries: Map<Node, SharedQuery<Row>>, node: Node, sql: string): SharedQuery<Row> {
    let query = queries.get(node)
    if (query === undefined) {
      query = new SharedQuery(node, sql, TIMEOUT_MS)
      queries.set(node, query)
    }
    return query
  }
}

function isDirect(node: Node): boolean {
  return node.sighting?.isDirect === true
}
