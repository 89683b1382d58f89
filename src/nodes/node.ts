import { WritePinningError } from '../errors.ts'
import { Replayed, type ReplayedAnswer } from './lag.ts'
import type { NodeOptions } from './node-options.ts'
import type { NodePool } from './node-pool.ts'
import type { Sighting } from './probe.ts'
import { ConfirmedErrors, RefusedTexts } from './refused-texts.ts'

/** What is known of a node's server. */
export type Health =
  | 'unknown' // not heard from yet
  | 'up'
  | 'down' // it refuses connections, or has stopped answering
  | 'unwatched' // its pool has no `Client` to connect with, so nobody watches it

/** Why a replica serves no reads. */
export type Ineligibility =
  | 'unknown'
  | 'down'
  | 'drained' // by an operator
  | 'lagging' // its lag is above `maxLagMs` or `maxLagBytes`
  | 'lag-unknown' // `lagSource` gave no number, or this process has not watched for long enough, or not heard from it lately
  | 'not-in-recovery' // it was promoted, or is another server that takes writes
  | 'other-cluster' // its data is not the primary's
  | 'other-database' // it is connected to another database of the same servers
  | 'diverged' // it has replayed what the primary never wrote
  | 'old-timeline' // it has no proof yet that it follows the primary since a failover
  | 'newer-timeline' // it follows another primary, which was promoted while this one is up

/** What a node has done since the start. */
export interface NodeCounts {
  /** Sessions that were lent for a query, a transaction or a connection. */
  sessions: number
  /** Reads that moved on to another node because this one failed them. */
  movedAway: number
  /** How often it was ejected. */
  ejected: number
}

/**
 * One server of a cluster: its pool, and what is known of it. Callers report to it what has happened, by methods such
 * as `wentDown()`. Only these methods write the fields that are read-only here.
 */
export class Node {
  readonly name: string
  readonly configured: 'primary' | 'replica'
  readonly weight: number
  readonly maxLagMs: number
  readonly loadBalanced: boolean
  /** Whether it is one address of a discovered name. It keeps that address. */
  readonly isDiscovered: boolean
  readonly pool: NodePool
  /** What it is used as. A failover changes this. */
  readonly role: 'primary' | 'replica'
  readonly health: Health = 'unknown'
  /** Why it is down, in words for a human. */
  readonly downBecause: string | undefined = undefined
  readonly sighting: Sighting | undefined = undefined
  /** Its lag when it was last seen; undefined if unknown. */
  readonly lagMs: number | undefined = undefined
  readonly lagBytes: number | undefined = undefined
  /**
   * Until when that lag may be used, by `Date.now()`. If this process is stopped or its host suspended, the lag gets
   * too old.
   */
  readonly knownUntilMs: number = Number.POSITIVE_INFINITY
  /**
   * Whether it refused to let the last probe connect: it had no connection left, or this database user may not
   * connect. Sessions that it let in before may go on.
   */
  readonly refusesNewSessions: boolean = false
  /** How far it has surely replayed the primary's history. */
  readonly replayed = new Replayed()
  /**
   * How far it has reported to have replayed, in the history that it follows. While the primary is down, that may be
   * another history.
   */
  readonly observed = new Replayed()
  /** The start time of its server, if that has replayed what the primary never wrote. */
  readonly divergedSince: string | undefined = undefined
  readonly isDrained: boolean = false
  /** Why it serves no reads; undefined if it serves them. */
  readonly ineligibility: Ineligibility | undefined = 'unknown'
  /** Whether it may be chosen for reads that name no node. */
  readonly isEligible: boolean = false
  /** Whether its sessions begin at an isolation level above `read committed`, by what the last one reported. */
  readonly beginsAboveReadCommitted: boolean = false
  /** The texts that it refused as a replica and the primary accepted; undefined if there are none. */
  readonly refused: RefusedTexts | undefined = undefined
  /** The errors that it gave as a replica and the primary gave as well; undefined if there are none. */
  readonly confirmedErrors: ConfirmedErrors | undefined = undefined
  /** Whether it has stopped lending sessions. */
  readonly isEnded: boolean = false
  /** How many of its sessions are lent or asked for. */
  readonly busy: number = 0
  readonly counts: NodeCounts = { sessions: 0, movedAway: 0, ejected: 0 }
  /** The node itself, with fields that can be written. */
  readonly #now: Writable<Node> = this

  constructor(options: NodeOptions, pool: NodePool, defaults: { readonly maxLagMs: number }) {
    this.name = options.name
    this.configured = options.role
    this.role = options.role
    this.weight = options.weight
    this.maxLagMs = options.maxLagMs ?? defaults.maxLagMs
    this.loadBalanced = options.loadBalanced
    this.isDiscovered = options.discover !== undefined
    this.pool = pool
  }

  async open(): Promise<void> {
    await this.pool.open()
  }

  /** Ends its pool, once everything that was lent is back. */
  async end(): Promise<void> {
    this.#now.isEnded = true
    await this.pool.end()
  }

  /** Whether its server answers, as far as is known. */
  get isUp(): boolean {
    return this.health === 'up' || this.health === 'unwatched'
  }

  /**
   * Whether it can serve no session, as far as is known. A node that refuses new connections may still serve the
   * sessions that it let in before. But if it was never seen, there are none.
   */
  get canServeNobody(): boolean {
    return this.refusesNewSessions ? this.sighting === undefined : this.health === 'down'
  }

  /** Its pool cannot make connections for the watcher, so it is not watched. */
  goesUnwatched(): void {
    this.#now.health = 'unwatched'
  }

  /** Its server has answered a probe. */
  answered(seen: Sighting): void {
    this.#now.refusesNewSessions = false
    if (this.role === 'replica' && this.divergedSince !== seen.startedAt) this.#now.divergedSince = undefined
    this.#now.sighting = { ...seen, timeline: timelineOf(seen, this.sighting) }
  }

  /** Its server is up, but the probe query failed: its lag is unknown, so as a replica it is not eligible. */
  answeredUnreadably(): void {
    this.#now.refusesNewSessions = false
    this.#now.sighting = undefined
    this.#now.lagMs = undefined
  }

  /**
   * Its server answers, but has no connection left. So its lag is unknown, and may grow for as long as this lasts. It
   * counts as the time since the node was last seen.
   */
  wasFull(because: string | undefined): void {
    this.#now.refusesNewSessions = true
    if (this.health === 'unknown') this.#now.downBecause = because
    if (this.sighting === undefined || this.lagMs === undefined || this.role === 'primary') return
    this.#now.lagMs = performance.now() - this.sighting.atMs
  }

  /** It answers. True if that is news. */
  wentUp(): boolean {
    if (this.health === 'up') return false
    this.#now.health = 'up'
    this.#now.downBecause = undefined
    this.pool.readmit()
    return true
  }

  /**
   * It refuses connections, or does not answer. True if that is news. With `refusesNewSessions`, it may still serve
   * those that it let in before.
   */
  wentDown(because: string, refusesNewSessions: boolean): boolean {
    this.#now.refusesNewSessions = refusesNewSessions
    if (this.health === 'down') return false
    this.#now.health = 'down'
    this.#now.downBecause = because
    this.forgetPosition()
    this.counts.ejected++
    return true
  }

  /**
   * Its name leads to another server. A primary keeps its last sighting until the new server is seen, because an
   * election needs its history.
   */
  changedServer(): void {
    this.#now.refusesNewSessions = false
    this.forgetPosition()
    if (this.role === 'primary') return
    this.#now.sighting = undefined
    this.#now.lagMs = undefined
    this.#now.lagBytes = undefined
  }

  /** Records the lag that it had when it was last seen, and until when that may be used. */
  wasMeasured(lag: Pick<Node, 'lagMs' | 'lagBytes' | 'knownUntilMs'>): void {
    this.#now.lagMs = lag.lagMs
    this.#now.lagBytes = lag.lagBytes
    this.#now.knownUntilMs = lag.knownUntilMs
  }

  /**
   * It reported how far it has replayed. With `isSure`, that position belongs to the primary's history and to no
   * other.
   */
  hadReplayed(answer: ReplayedAnswer, isSure: boolean, answeredAtMs = performance.now()): void {
    this.observed.saw(answer, answeredAtMs)
    if (isSure) this.replayed.saw(answer, answeredAtMs)
  }

  /** The position that it reported is worth nothing any more: its server may have crashed, or have another history. */
  forgetPosition(): void {
    this.replayed.forget()
    this.observed.forget()
  }

  /** It has replayed what the primary never wrote. */
  diverged(): void {
    this.#now.divergedSince = this.sighting?.startedAt
  }

  /** An operator drains it, or resumes it. */
  wasDrained(isDrained: boolean): void {
    this.#now.isDrained = isDrained
  }

  /** It was judged: eligible for reads if `ineligibility` is undefined. */
  wasJudged(ineligibility: Ineligibility | undefined): void {
    this.#now.ineligibility = ineligibility
    this.#now.isEligible = ineligibility === undefined
  }

  /** It was promoted: its sessions may write. */
  becomesPrimary(): void {
    this.#now.role = 'primary'
    this.pool.setReplica(false)
  }

  /** Another node is the primary now. What is under way here must not be committed, and nothing new may be written. */
  becomesReplica(): void {
    this.#now.role = 'replica'
    this.pool.setReplica(true)
    if (this.isUp) this.pool.cut()
    else this.pool.cutOff(unavailable(`'${this.name}' is down, and not the primary any more.`))
  }

  /** A session is asked for. */
  lend(): void {
    this.#now.busy++
    this.counts.sessions++
  }

  /** A session was given back, or the pool gave none. */
  giveBack(): void {
    this.#now.busy--
  }

  /** A session reported the isolation level at which it begins. */
  sessionBegan(isolation: string | null | undefined): void {
    this.#now.beginsAboveReadCommitted = isolation !== 'read committed'
  }

  /**
   * Whether what a client sets for its session can follow it here. Behind a pooler it cannot: another session may
   * serve its next statement.
   */
  get carriesSettings(): boolean {
    return this.pool.carriesSettings && this.sighting?.isDirect !== false
  }

  /** A read moved on to another node because this one failed it. */
  lostRead(): void {
    this.counts.movedAway++
  }

  /** As a replica it refused a text that the primary accepted. True if it refused the text again, after a pause. */
  refusedAlone(sql: string, error: unknown): boolean {
    this.#now.refused ??= new RefusedTexts()
    this.confirmedErrors?.primaryAccepted(sql, error)
    return this.#now.refused.refuse(sql)
  }

  /** As a replica it gave `error`, and the primary gave `given`. */
  refusedLikePrimary(given: unknown, sql: string, error: unknown): void {
    this.#now.confirmedErrors ??= new ConfirmedErrors()
    this.#now.confirmedErrors.primaryGave(given, sql, error)
  }

  /** It accepted a text that it had refused. */
  accepted(sql: string): void {
    this.refused?.accept(sql)
    if (this.refused?.isEmpty) this.#now.refused = undefined
  }
}

/** The error for a node that cannot serve. */
export function unavailable(why: string, options?: { readonly cause: unknown }): WritePinningError {
  return new WritePinningError('ERR_WRITE_PINNING_NODE_UNAVAILABLE', why, { statusCode: 503, ...options })
}

/**
 * A server moves to newer timelines and never back. But a replica whose receiver has ended reports an old one for a
 * while. So the newest one that it has reported since its start counts.
 */
function timelineOf(now: Sighting, before: Sighting | undefined): number | undefined {
  if (before?.timeline === undefined || before.startedAt !== now.startedAt) return now.timeline
  return Math.max(before.timeline, now.timeline ?? 0)
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }
