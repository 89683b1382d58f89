import type { Choose } from './choice.ts'
import type { Lookup } from './host.ts'
import type { LagSource } from './probe.ts'

/** Options of a dialect that are about its nodes. */
export interface ReplicaSetOptions {
  /**
   * How a replica is chosen: `'least-busy'` (default; the less busy of two drawn at random), `'round-robin'`, `'random'`, or a
   * function that is given those that may serve.
   */
  choose?: Choose
  /** How late a replica may be, in ms, and still serve reads. Default: 10,000. */
  maxLagMs?: number
  /** How many bytes of WAL a replica may be behind, and still serve reads; with `lagSource: 'wal'` only. Default: any number. */
  maxLagBytes?: number
  /** Where lag is read: `'wal'` (default), `'aurora'`, or a function that gives it in ms. */
  lagSource?: LagSource
  /** What serves when no replica is fit: `'primary'` (default; with at most half of its pool), or `'error'`; who has written still reads from the primary. */
  whenNoReplica?: 'primary' | 'error'
  /** How often a node is asked for its state, in ms. Default: 1,000. */
  probeIntervalMs?: number
  /** How long an answer to that may take, in ms; a node that twice gives none is ejected. Default: 500. */
  probeTimeoutMs?: number
  /** How long connecting to a node may take, in ms, where its pool does not say. Default: 2,000. */
  connectTimeoutMs?: number
  /**
   * How long a read outside a transaction may take from when it is sent, in ms, over all nodes that it is tried on: a replica that gives
   * no sign of life for half of what is left loses it to another node. Default: no bound.
   */
  readTimeoutMs?: number
  /** How long a read under an exact pin may wait for a replica to catch up before the primary serves, in ms. Default: 0. */
  catchUpMs?: number
  /** Whether a replica that was promoted becomes the primary, without a restart; with `lagSource: 'wal'` only. Default: false. */
  failover?: boolean
  /** Finds the address of a host name, as `dns.lookup()` does, which is the default. */
  lookup?: Lookup
}

/** The options, checked, with their defaults. */
export interface ReplicaSetSettings {
  readonly choose: Choose
  readonly maxLagMs: number
  readonly maxLagBytes: number | undefined
  readonly lagSource: LagSource
  readonly whenNoReplica: 'primary' | 'error'
  readonly probeIntervalMs: number
  readonly probeTimeoutMs: number
  readonly connectTimeoutMs: number
  readonly readTimeoutMs: number | undefined
  readonly catchUpMs: number
  readonly failover: boolean
  readonly lookup: Lookup | undefined
}
