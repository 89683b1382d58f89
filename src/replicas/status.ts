import { formatLsn } from '../lsn.ts'
import type { Health, Ineligibility, Node, NodeCounts } from './node.ts'
import type { Mode, Observed } from './operator.ts'
import type { Member, ReplicaSet } from './replica-set.ts'

/** One cluster as this process sees it. */
export interface ClusterStatus {
  readonly name: string
  readonly mode: Mode
  /** Which part of the requests may read from replicas, from 0 to 1. */
  readonly replicaShare: number
  /** Where reads would have gone, by node, since `setMode('observe')`. */
  readonly observed: Observed
  /** Reads that no replica could serve: how many the primary serves now, and how many wait for their turn. */
  readonly spilled: { readonly running: number; readonly waiting: number }
  readonly nodes: readonly NodeStatus[]
}

/** One node as this process sees it. */
export interface NodeStatus {
  readonly name: string
  readonly role: 'primary' | 'replica'
  readonly health: Health
  /** Whether it serves, as a replica, reads that name no node. */
  readonly isEligible: boolean
  /** Why it does not. */
  readonly because: Ineligibility | undefined
  /** Why it is down, for a human. */
  readonly downBecause: string | undefined
  readonly isDrained: boolean
  readonly weight: number
  /** How far it was behind when it was last seen. */
  readonly lagMs: number | undefined
  readonly lagBytes: number | undefined
  /** What it had replayed, or a primary flushed, such as `0/3000148`. */
  readonly position: string | undefined
  readonly timeline: number | undefined
  /** How many sessions are lent, or asked for, by this process. */
  readonly busy: number
  readonly counts: Readonly<NodeCounts>
}

/** The state of a cluster, as data that can be sent or logged. */
export function statusOf<N extends Member>({
  name,
  operator,
  spill,
  nodes,
}: Pick<ReplicaSet<N>, 'name' | 'operator' | 'spill' | 'nodes'>): ClusterStatus {
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
  return {
    name,
    role,
    health,
    isEligible: isReplica && node.isEligible && weight > 0,
    because: isReplica ? node.ineligibility : undefined,
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
