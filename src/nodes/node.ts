import { WritePinningError } from '../errors.ts'
import type { Lsn } from '../lsn.ts'
import type { NodeOptions } from './node-options.ts'
import type { NodePool } from './node-pool.ts'
import type { OwnErrors } from './own-errors.ts'
import type { Moment } from './positions.ts'
import type { RefusedTexts } from './refused-texts.ts'
import { Replayed, type ReplayedAnswer } from './replayed.ts'

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

/** What a node's server said of itself when it was asked. */
export interface Sighting extends Moment {
  /** When its answer was there. */
  readonly answeredAtMs: number
  readonly isInRecovery: boolean
  /** What a primary has flushed, what a replica has replayed; undefined where it does not say. */
  readonly position: Lsn | undefined
  /** A primary's is right at once; a replica's may be older than it is, and never newer. */
  readonly timeline: number | undefined
  readonly systemId: string | undefined
  /** Which database of its cluster it is connected to, whatever that is called. */
  readonly databaseOid: string | undefined
  readonly startedAt: string | undefined
  /** Whether its sessions are read-only by their setting, also where the server is not. */
  readonly isReadOnly: boolean
  /** Whether its role is let see the timeline that a replica receives. */
  readonly seesReceiver: boolean | undefined
  /**
   * Whether its sessions are the server's own: a pooler in between gives its clients process ids of its own making, and may
   * have another connection serve each statement.
   */
  readonly isDirect: boolean
  /** The lag by another source than the positions, in ms. */
  readonly lagMs: number | undefined
}

/** What a node has done since the start. */
export interface NodeCounts {
  /** Sessions that were lent to a query, a transaction or a connection. */
  sessions: number
  /** Reads that went on to another node, because this one failed them. */
  movedAway: number
  ejected: number
}

/** One server of a cluster: its pool, and what is known of it. */
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
  role: 'primary' | 'replica'
  health: Health = 'unknown'
  /** Why it is down, in words for a human. */
  downBecause: string | undefined
  sighting: Sighting | undefined
  /** How far behind it was when it was last seen; undefined where nobody knows. */
  lagMs: number | undefined
  lagBytes: number | undefined
  /** Whether it let the last probe not in: no connection was left, or not for this role. Whoever is in already may go on. */
  isClosed = false
  /** Until when that is good for a verdict, by `Date.now()`: this process may be stopped, and its host suspended. */
  knownUntilMs = Number.POSITIVE_INFINITY
  /** How far it has replayed, as far as that is sure to be of the primary's history. */
  readonly replayed = new Replayed()
  /** How far it has replayed of whatever history it follows: also where the primary is down, and it may follow another one. */
  readonly observed = new Replayed()
  /** Since when it has been known to have replayed what the primary never wrote: its server's start. */
  divergedSince: string | undefined
  /** Whether its sessions begin at an isolation level above `read committed`, as far as one has told. */
  hasSnapshots = false
  /** The texts that it refused, as a replica, and the primary accepted; undefined where there is none. */
  refused: RefusedTexts | undefined
  /** The errors that it gave, as a replica, and the primary gave as well; undefined where there is none. */
  ownErrors: OwnErrors | undefined
  isDrained = false
  /** Whether it lends nothing any more. */
  isClosedForGood = false
  /** Why it serves no reads; undefined where it does. */
  ineligibility: Ineligibility | undefined = 'unknown'
  /** Whether it may be chosen for reads that name no node. */
  isEligible = false
  /** How many sessions are lent, or asked for. */
  busy = 0
  readonly counts: NodeCounts = { sessions: 0, movedAway: 0, ejected: 0 }

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

  async init(): Promise<void> {
    await this.pool.open()
  }

  async destroy(): Promise<void> {
    this.isClosedForGood = true
    await this.pool.end()
  }

  /** Takes an answer about how far it has replayed; `isSure` where that can be of no history but the primary's. */
  saw(answer: ReplayedAnswer, isSure: boolean, answeredAtMs = performance.now()): void {
    this.observed.saw(answer, answeredAtMs)
    if (isSure) this.replayed.saw(answer, answeredAtMs)
  }

  /** How far it had replayed says nothing any more: its server may have crashed, or has another history. */
  forgetPosition(): void {
    this.replayed.forget()
    this.observed.forget()
  }

  /** It was promoted: its sessions may write. */
  becomesPrimary(): void {
    this.role = 'primary'
    this.pool.setReplica(false)
  }

  /** Another node is the primary: what is under way here must not be committed, nor anything new be written. */
  becomesReplica(): void {
    this.role = 'replica'
    this.pool.setReplica(true)
    if (this.isUp) this.pool.cut()
    else {
      const why = `'${this.name}' is down, and not the primary any more.`
      this.pool.cutOff(new WritePinningError('ERR_WRITE_PINNING_NODE_UNAVAILABLE', why, { statusCode: 503 }))
    }
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
}
