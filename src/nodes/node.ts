import { WritePinningError } from '../errors.ts'
import type { NodeOptions } from './node-options.ts'
import type { NodePool } from './node-pool.ts'
import { Replayed, type ReplayedAnswer } from './positions.ts'
import type { Sighting } from './probe.ts'
import { OwnErrors, RefusedTexts } from './refused-texts.ts'

/** What is known of a node's server. */
export type Health =
  | 'unknown' // not heard of yet
  | 'up'
  | 'down' // it refuses connections, or stopped answering
  | 'unwatched' // its pool cannot make connections of its own, so nobody looks

/** Why a replica serves no reads. */
export type Ineligibility =
  | 'unknown'
  | 'down'
  | 'drained' // by an operator
  | 'lagging' // later than `maxLagMs` or `maxLagBytes`
  | 'lag-unknown' // `lagSource` gave no number; or this process has not known the cluster for long enough, or not heard of it lately
  | 'not-in-recovery' // it was promoted, or is another server that takes writes
  | 'other-cluster' // its data is not the primary's
  | 'other-database' // it is connected to another database of the same servers
  | 'diverged' // it has replayed what the primary never wrote
  | 'old-timeline' // it does not follow the primary since a failover
  | 'newer-timeline' // it follows another one, which was promoted while the primary lives

/** What a node has done since the start. */
export interface NodeCounts {
  /** Sessions that were lent to a query, a transaction or a connection. */
  sessions: number
  /** Reads that went on to another node, because this one failed them. */
  movedAway: number
  ejected: number
}

/**
 * One server of a cluster: its pool, and what is known of it. Whoever learns something of it says what happened, and the node draws the
 * conclusion: what is read-only here is written by these methods, and by nobody else.
 */
export class Node {
  readonly name: string
  readonly configured: 'primary' | 'replica'
  readonly weight: number
  readonly maxLagMs: number
  readonly loadBalanced: boolean
  /** Whether it is one of the addresses of a name, which it keeps. */
  readonly isDiscovered: boolean
  readonly pool: NodePool
  /** What it is used as; a failover changes it. */
  readonly role: 'primary' | 'replica'
  readonly health: Health = 'unknown'
  /** Why it is down, in words for a human. */
  readonly downBecause: string | undefined = undefined
  readonly sighting: Sighting | undefined = undefined
  /** How far behind it was when it was last seen; undefined where nobody knows. */
  readonly lagMs: number | undefined = undefined
  readonly lagBytes: number | undefined = undefined
  /** Until when that is good for a verdict, by `Date.now()`: this process may be stopped, and its host suspended. */
  readonly knownUntilMs: number = Number.POSITIVE_INFINITY
  /** Whether it let the last probe not in: no connection was left, or not for this role. Whoever is in already may go on. */
  readonly isClosed: boolean = false
  /** How far it has replayed, as far as that is sure to be of the primary's history. */
  readonly replayed = new Replayed()
  /** How far it has replayed of whatever history it follows: also where the primary is down, and it may follow another one. */
  readonly observed = new Replayed()
  /** Since when it has been known to have replayed what the primary never wrote: its server's start. */
  readonly divergedSince: string | undefined = undefined
  readonly isDrained: boolean = false
  /** Why it serves no reads; undefined where it does. */
  readonly ineligibility: Ineligibility | undefined = 'unknown'
  /** Whether it may be chosen for reads that name no node. */
  readonly isEligible: boolean = false
  /** Whether its sessions begin at an isolation level above `read committed`, as far as one has told. */
  readonly hasSnapshots: boolean = false
  /** The texts that it refused, as a replica, and the primary accepted; undefined where there is none. */
  readonly refused: RefusedTexts | undefined = undefined
  /** The errors that it gave, as a replica, and the primary gave as well; undefined where there is none. */
  readonly ownErrors: OwnErrors | undefined = undefined
  /** Whether it lends nothing any more. */
  readonly isEnded: boolean = false
  /** How many sessions are lent, or asked for. */
  readonly busy: number = 0
  readonly counts: NodeCounts = { sessions: 0, movedAway: 0, ejected: 0 }
  /** Itself, for its own writing. */
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

  /** Ends its pool, once what was lent is back. */
  async end(): Promise<void> {
    this.#now.isEnded = true
    await this.pool.end()
  }

  /** Whether its server answers, as far as is known. */
  get isUp(): boolean {
    return this.health === 'up' || this.health === 'unwatched'
  }

  /**
   * Whether it serves nobody, as far as is known. One that is closed may serve the pool's sessions, which it has let in before; one that
   * was never seen has let nobody in.
   */
  get isGone(): boolean {
    return this.isClosed ? this.sighting === undefined : this.health === 'down'
  }

  /** Its pool makes no connections of its own, so nobody looks. */
  goesUnwatched(): void {
    this.#now.health = 'unwatched'
  }

  /** Its server has said what it is. */
  answered(seen: Sighting): void {
    this.#now.isClosed = false
    if (this.role === 'replica' && this.divergedSince !== seen.startedAt) this.#now.divergedSince = undefined
    this.#now.sighting = { ...seen, timeline: timelineOf(seen, this.sighting) }
  }

  /** Its server is up, but the probe failed there: its lag is unknown, so as a replica it is not eligible. */
  answeredUnreadably(): void {
    this.#now.isClosed = false
    this.#now.sighting = undefined
    this.#now.lagMs = undefined
  }

  /** Its server has no connection left. It answers; only how late it is cannot be known, and the longer that lasts, the later it may be. */
  wasFull(because: string | undefined): void {
    this.#now.isClosed = true
    if (this.health === 'unknown') this.#now.downBecause = because
    if (this.sighting === undefined || this.lagMs === undefined || this.role === 'primary') return
    this.#now.lagMs = performance.now() - this.sighting.atMs
  }

  /** It serves; gives whether that is news. */
  wentUp(): boolean {
    if (this.health === 'up') return false
    this.#now.health = 'up'
    this.#now.downBecause = undefined
    this.pool.readmit()
    return true
  }

  /** It refuses connections, or does not answer; gives whether that is news. `isClosed` where it may serve whoever is in already. */
  wentDown(because: string, isClosed: boolean): boolean {
    this.#now.isClosed = isClosed
    if (this.health === 'down') return false
    this.#now.health = 'down'
    this.#now.downBecause = because
    this.forgetPosition()
    this.counts.ejected++
    return true
  }

  /** Its name leads to another server. A primary, of its history, goes on being that for an election until the new one is seen. */
  changedServer(): void {
    this.#now.isClosed = false
    this.forgetPosition()
    if (this.role === 'primary') return
    this.#now.sighting = undefined
    this.#now.lagMs = undefined
    this.#now.lagBytes = undefined
  }

  /** How late it was when it was last seen, and until when that is good for a verdict. */
  wasMeasured(lag: Pick<Node, 'lagMs' | 'lagBytes' | 'knownUntilMs'>): void {
    this.#now.lagMs = lag.lagMs
    this.#now.lagBytes = lag.lagBytes
    this.#now.knownUntilMs = lag.knownUntilMs
  }

  /** It told how far it has replayed; `isSure` where that can be of no history but the primary's. */
  hadReplayed(answer: ReplayedAnswer, isSure: boolean, answeredAtMs = performance.now()): void {
    this.observed.saw(answer, answeredAtMs)
    if (isSure) this.replayed.saw(answer, answeredAtMs)
  }

  /** How far it had replayed says nothing any more: its server may have crashed, or has another history. */
  forgetPosition(): void {
    this.replayed.forget()
    this.observed.forget()
  }

  /** What it was seen to have replayed is not what the primary wrote. */
  diverged(): void {
    this.#now.divergedSince = this.sighting?.startedAt
  }

  /** An operator keeps it from reads, or does not any more. */
  wasDrained(isDrained: boolean): void {
    this.#now.isDrained = isDrained
  }

  /** It was found to be eligible for reads, or why it is not. */
  wasJudged(ineligibility: Ineligibility | undefined): void {
    this.#now.ineligibility = ineligibility
    this.#now.isEligible = ineligibility === undefined
  }

  /** It was promoted: its sessions may write. */
  becomesPrimary(): void {
    this.#now.role = 'primary'
    this.pool.setReplica(false)
  }

  /** Another node is the primary: what is under way here must not be committed, nor anything new be written. */
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

  /** A session was given back, or was asked for in vain. */
  giveBack(): void {
    this.#now.busy--
  }

  /** A session told at which isolation level it begins. */
  sessionBegan(isolation: string | null | undefined): void {
    this.#now.hasSnapshots = isolation !== 'read committed'
  }

  /**
   * Whether what a client sets for its session can follow it here: no pooler is known to stand in between, which may have another session
   * serve its next statement.
   */
  get carriesSettings(): boolean {
    return this.pool.carriesSettings && this.sighting?.isDirect !== false
  }

  /** A read went on to another node, because this one failed it. */
  lostRead(): void {
    this.counts.movedAway++
  }

  /** As a replica, it refused a text that the primary accepted; gives whether it was asked again for that, after a rest. */
  refusedAlone(sql: string, error: unknown): boolean {
    this.#now.refused ??= new RefusedTexts()
    this.ownErrors?.primaryAccepted(sql, error)
    return this.#now.refused.refuse(sql)
  }

  /** As a replica, it gave `error`, and the primary gave this one. */
  refusedLikePrimary(given: unknown, sql: string, error: unknown): void {
    this.#now.ownErrors ??= new OwnErrors()
    this.#now.ownErrors.primaryGave(given, sql, error)
  }

  /** It accepted a text that it had refused. */
  accepted(sql: string): void {
    this.refused?.accept(sql)
    if (this.refused?.isEmpty) this.#now.refused = undefined
  }
}

/** The error of whoever asks a node that serves nobody. */
export function unavailable(why: string, options?: { readonly cause: unknown }): WritePinningError {
  return new WritePinningError('ERR_WRITE_PINNING_NODE_UNAVAILABLE', why, { statusCode: 503, ...options })
}

/** A server goes to a newer timeline and never back; but a replica whose receiver has ended tells an old one for a while. */
function timelineOf(now: Sighting, before: Sighting | undefined): number | undefined {
  if (before?.timeline === undefined || before.startedAt !== now.startedAt) return now.timeline
  return Math.max(before.timeline, now.timeline ?? 0)
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }
