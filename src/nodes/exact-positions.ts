import { type History, haveSameHistory, type Position } from '../freshness/position.ts'
import { type Lsn, parseLsn, withoutPageHeader } from '../lsn.ts'
import type { Node } from './node.ts'
import { withPatience } from './patience.ts'
import {
  COMMITTED_QUERY,
  type CommitKind,
  type CommittedRow,
  REPLAYED_QUERY,
  type ReplayedRow,
} from './position-questions.ts'
import type { ReplayedAnswer } from './positions.ts'
import { SharedQuery } from './shared-query.ts'

/** How long an answer may take at most, in ms: there is always the primary, or a time pin, instead. */
const TIMEOUT_MS = 250
/** How long to wait between two looks at replicas that have not caught up yet, in ms. */
const PAUSE_MS = 5

/** The nodes whose positions are read. */
interface Positioned {
  readonly primary: Node
  readonly eligible: readonly Node[]
}

/** Reads exact WAL positions as they are needed: the primary's after a commit, a replica's before a read. */
export class ExactPositions {
  readonly #set: Positioned
  readonly #primaries = new Map<Node, SharedQuery<CommittedRow>>()
  readonly #replicas = new Map<Node, SharedQuery<ReplayedRow>>()
  /** When the primary read its configuration last. */
  #configuredAt: string | undefined
  /** How often it was seen to have read it anew: what a session was found to be set to may not hold any more. */
  #configuration = 0
  /** How far each session has told that its server had got. */
  #told = new WeakMap<object, Lsn>()
  #isStopped = false

  constructor(set: Positioned) {
    this.#set = set
  }

  /**
   * A position at or behind every commit that has returned by now, as the server's `synchronous_commit` lets it be known;
   * undefined where it cannot be read.
   *
   * After a synchronous commit what was flushed is exact. Otherwise only what was inserted is safe, which at the end of a page
   * points behind the header of one that is not there yet
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
    const unflushed = inserted && withoutPageHeader(inserted, Number(row.segmentSize))
    const isFlushed = kind === 'flushed' && asked === this.#configuration
    const lsn = isFlushed ? parseLsn(row.flushed) : unflushed
    if (lsn === undefined) return undefined
    return { systemId: row.systemId, timeline: row.timeline, lsn }
  }

  get configuration(): number {
    return this.#configuration
  }

  /** Whether what is known of a replica's server, and its history, says that it has replayed that far. */
  hasReplayed(node: Node, { lsn }: Position): boolean {
    const { lsn: replayed } = node.replayed
    if (node.loadBalanced || replayed === undefined || replayed < lsn) return false
    return isDirect(node) || !node.hasSnapshots
  }

  /**
   * The history that a replica's positions are of, as far as is known. Where it follows a newer timeline than the primary is known to
   * be on, it is that one's.
   */
  historyOf(node: Node): History | undefined {
    const its = this.#set.primary.sighting
    const systemId = its?.systemId ?? node.sighting?.systemId
    const timeline = Math.max(its?.timeline ?? 0, node.sighting?.timeline ?? 0)
    return systemId === undefined || timeline === 0 ? undefined : { systemId, timeline }
  }

  /** Whether a replica was observed to have replayed that far, where the primary is no help: what was only seen may be told so. */
  hasObserved(node: Node, position: Position): boolean {
    const history = this.historyOf(node)
    if (history === undefined || !haveSameHistory(history, position)) return false
    // Behind a balanced name, only the session that serves can tell.
    return node.loadBalanced || (node.observed.lsn ?? 0n) >= position.lsn
  }

  /**
   * Whether this very session has told that its server has replayed that far: a session does not outlive a crash. Behind a pooler
   * it may be another server's by now.
   */
  hasTold(client: object, node: Node, { lsn }: Position): boolean {
    const told = isDirect(node) ? this.#told.get(client) : undefined
    return told !== undefined && told >= lsn
  }

  /**
   * Takes how far a replica has replayed, as it was told on one of its sessions; gives that, or undefined where it is no replica
   * (any more).
   */
  told(client: object, node: Node, position: string | null | undefined, askedAtMs: number): Lsn | undefined {
    const lsn = parseLsn(position)
    if (lsn === undefined) return undefined
    this.#told.set(client, lsn)
    this.#saw(node, { lsn, askedAtMs, startedAt: undefined })
    return lsn
  }

  /** Another node is the primary: what was told may be of a history that is not its own. */
  forgetTold(): void {
    this.#told = new WeakMap()
  }

  /** Whether a position is one of the primary's history, as it is known: any other number means another record. */
  isComparable({ systemId, timeline }: Position): boolean {
    const its = this.#set.primary.sighting
    return its?.systemId === systemId && its.timeline === timeline && !its.isInRecovery
  }

  /**
   * Looks how far the replicas that may serve have got; again until one has replayed `position`, or `waitMs` are over. One
   * look is shared by all who wait. `has` says whether a replica has, by what is known after a look.
   */
  async lookFor(
    position: Position,
    waitMs: number,
    has = (node: Node) => this.hasReplayed(node, position),
  ): Promise<void> {
    const untilMs = performance.now() + waitMs
    const isWritten = waitMs > 0 ? this.#isWritten(position) : undefined
    for (let isFirst = true; ; isFirst = false) {
      // Who comes while a look is under way gets the next one: of a server that does not answer it is not waited for twice.
      const hasOne = await withPatience(this.#any(has), TIMEOUT_MS).catch(() => false)
      if (hasOne || performance.now() + PAUSE_MS >= untilMs) return
      // Nobody ever catches up with a position that somebody has made up.
      if ((isFirst && !(await isWritten)) || this.#isStopped) return
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
  }

  /** Whether any replica has, as soon as one says so, or all have answered. */
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

  /** How far a replica has got, by a question that is asked from now on; undefined where it cannot be known. */
  async replayed(node: Node): Promise<Lsn | undefined> {
    const answer = await this.#queryOf(this.#replicas, node, REPLAYED_QUERY).ask()
    const lsn = parseLsn(answer?.row.position)
    if (answer === undefined || lsn === undefined) return undefined
    this.#saw(node, { lsn, askedAtMs: answer.askedAtMs, startedAt: answer.row.startedAt })
    return lsn
  }

  /**
   * Takes note of how far a replica has got. While the primary is down it may follow another one, on whose timeline the same number
   * is another record; of its own timeline a replica may tell too late.
   */
  #saw(node: Node, answer: ReplayedAnswer): void {
    node.hadReplayed(answer, this.#set.primary.isUp)
  }

  /** Forgets a node that is gone. */
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
