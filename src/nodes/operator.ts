import { numberOfEnvironment, wordOfEnvironment } from '../environment.ts'
import { formatLsn } from '../lsn.ts'
import type { OptionReader } from '../options.ts'
import type { Health, Ineligibility, Node, NodeCounts } from './node.ts'
import type { ClusterNodes, NodeOptions } from './node-options.ts'

/**
 * Who serves reads.
 *
 * - `'split'`: the replicas
 * - `'primary'`: the primary
 * - `'observe'`: the primary, and `status().observed` counts where reads would have gone
 */
export type Mode = 'split' | 'primary' | 'observe'

export const MODES: readonly Mode[] = ['split', 'primary', 'observe']

/** The bounds of the share of requests that may read from replicas. */
export const SHARE = { min: 0, max: 1, expected: 'a number from 0 to 1' }

/** Options about how many reads go to replicas. The operator can change both later. */
export interface OperatorOptions {
  /**
   * Who serves reads from the start. `setMode()` changes it later. Default: the environment variable
   * `WRITE_PINNING_MODE`, else `'split'`.
   *
   * - `'split'`: the replicas
   * - `'primary'`: the primary
   * - `'observe'`: the primary, and `status().observed` counts where reads would have gone
   */
  mode?: Mode
  /**
   * The share of requests that may read from replicas from the start, from 0 to 1. The primary serves the others.
   * `setReplicaShare()` changes it later. Default: the environment variable `WRITE_PINNING_REPLICA_SHARE`, else 1.
   */
  replicaShare?: number
}

/** The options, checked, with their defaults in place. */
export type OperatorSettings = Readonly<Required<OperatorOptions>>

/**
 * Reads the options, and the environment where they say nothing.
 *
 * @throws {WritePinningError} for an option, or an environment variable, that is wrong.
 */
export function operatorSettings(read: OptionReader<OperatorOptions>): OperatorSettings {
  const mode = read.oneOf('mode', MODES, undefined)
  const share = read.number('replicaShare', undefined, SHARE)
  return {
    mode: mode ?? wordOfEnvironment('WRITE_PINNING_MODE', MODES) ?? 'split',
    replicaShare: share ?? numberOfEnvironment('WRITE_PINNING_REPLICA_SHARE', SHARE) ?? 1,
  }
}

/** How many reads would have gone to each node, counted while the mode is `'observe'`. */
export type Observed = Readonly<Record<string, number>>

/** What an operator has set for one cluster. It outlives each pool and each Kysely instance of that cluster. */
export class Operator {
  mode: Mode
  /** The share of requests that may read from replicas, from 0 to 1. */
  replicaShare: number
  readonly drained = new Set<string>()
  readonly #observed = new Map<string, number>()

  constructor({ mode, replicaShare }: OperatorSettings) {
    this.mode = mode
    this.replicaShare = replicaShare
  }

  get observed(): Observed {
    return Object.fromEntries(this.#observed)
  }

  observe(node: string): void {
    this.#observed.set(node, (this.#observed.get(node) ?? 0) + 1)
  }
}

/** One cluster as this process sees it. */
export interface ClusterStatus {
  readonly name: string
  readonly mode: Mode
  /** The share of requests that may read from replicas, from 0 to 1. */
  readonly replicaShare: number
  /** How many reads would have gone to each node, counted while the mode is `'observe'`. */
  readonly observed: Observed
  /** Reads that no replica could serve: how many the primary serves now, and how many wait for their turn. */
  readonly spilled: { readonly running: number; readonly waiting: number }
  /**
   * The primary first. The nodes of a `discover` are here once their name was looked up, when the pool or the dialect
   * opens.
   */
  readonly nodes: readonly NodeStatus[]
}

/** Why a node is not fit for its role. */
export type Unfitness =
  | Ineligibility
  | 'in-recovery' // the primary is a hot standby: it was demoted, or its address leads to a replica
  | 'only-by-name' // the replica's `weight` is 0

/** One node as this process sees it. */
export interface NodeStatus {
  readonly name: string
  readonly role: 'primary' | 'replica'
  readonly health: Health
  /** Whether it does its work, as far as is known: a primary takes writes, a replica serves reads that name no node. */
  readonly isFit: boolean
  /** Why it is not fit; undefined if it is. */
  readonly because: Unfitness | undefined
  /** Why it is down, in words for a human; undefined if it is not. */
  readonly downBecause: string | undefined
  readonly isDrained: boolean
  readonly weight: number
  /** Its lag when it was last seen, in ms; undefined if unknown, and for the primary. */
  readonly lagMs: number | undefined
  /** The same in bytes of WAL. */
  readonly lagBytes: number | undefined
  /** What a replica has replayed, or the primary flushed, such as `0/3000148`. */
  readonly position: string | undefined
  readonly timeline: number | undefined
  /** How many of its sessions this process has lent or is waiting for. */
  readonly busy: number
  readonly counts: Readonly<NodeCounts>
}

/** The status of a cluster that is not open: it is made of the options, and each node's state is unknown. */
export function statusBeforeOpen(name: string, nodes: ClusterNodes, operator: Operator): ClusterStatus {
  const { mode, replicaShare, observed, drained } = operator
  const named = [nodes.primary, ...nodes.replicas].filter(({ discover }) => discover === undefined)
  return {
    name,
    mode,
    replicaShare,
    observed,
    spilled: { running: 0, waiting: 0 },
    nodes: named.map((node) => unknownNode(node, drained.has(node.name))),
  }
}

function unknownNode({ name, role, weight }: NodeOptions, isDrained: boolean): NodeStatus {
  return {
    name,
    role,
    health: 'unknown',
    isFit: false,
    because: isDrained ? 'drained' : 'unknown',
    downBecause: undefined,
    isDrained,
    weight,
    lagMs: undefined,
    lagBytes: undefined,
    position: undefined,
    timeline: undefined,
    busy: 0,
    counts: { sessions: 0, movedAway: 0, ejected: 0 },
  }
}

/** The part of an open cluster that its status is made of. */
interface Shown {
  readonly name: string
  readonly operator: Operator
  readonly spill: { readonly inside: number; readonly waiting: number }
  readonly nodes: readonly Node[]
}

/** The status of an open cluster, as data that can be sent or logged. */
export function statusOf({ name, operator, spill, nodes }: Shown): ClusterStatus {
  return {
    name,
    mode: operator.mode,
    replicaShare: operator.replicaShare,
    observed: operator.observed,
    spilled: { running: spill.inside, waiting: spill.waiting },
    nodes: nodes.map(nodeStatus),
  }
}

function nodeStatus(node: Node): NodeStatus {
  const { name, role, health, downBecause, isDrained, weight, sighting, busy, counts } = node
  const isReplica = role === 'replica'
  const follows = isReplica && node.ineligibility !== 'not-in-recovery'
  const because = isReplica ? unfitnessOfReplica(node) : unfitnessOfPrimary(node)
  return {
    name,
    role,
    health,
    isFit: because === undefined,
    because,
    downBecause,
    isDrained,
    weight,
    lagMs: follows ? node.lagMs : undefined,
    lagBytes: follows ? node.lagBytes : undefined,
    position: sighting?.position === undefined ? undefined : formatLsn(sighting.position),
    timeline: sighting?.timeline,
    busy,
    counts: { ...counts },
  }
}

function unfitnessOfReplica({ ineligibility, weight }: Node): Unfitness | undefined {
  return ineligibility ?? (weight === 0 ? 'only-by-name' : undefined)
}

function unfitnessOfPrimary({ health, sighting }: Node): Unfitness | undefined {
  if (health === 'unknown' || health === 'down') return health
  return sighting?.isInRecovery === true ? 'in-recovery' : undefined
}
