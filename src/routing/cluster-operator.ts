import { WritePinningError } from '../errors.ts'
import type { ClusterNodes } from '../nodes/node-options.ts'
import {
  type ClusterStatus,
  MODES,
  type Mode,
  Operator,
  SHARE,
  statusBeforeOpen,
  statusOf,
} from '../nodes/operator.ts'
import type { ReplicaSet } from '../nodes/replica-set.ts'
import { choiceError } from '../options.ts'
import type { RouterSettings } from './options.ts'

/** One router of this cluster: that of a Kysely instance, or of a pool. */
interface Openable {
  /** Opens it once. After a failure the next call tries again. */
  init(): Promise<void>
}

/** Lets an operator act on all routers of one dialect or pool. Mostly there is one. */
export class ClusterOperator {
  readonly state: Operator
  readonly name: string
  readonly #nodes: ClusterNodes
  /** The routers that were not destroyed, used or not. */
  readonly #routers = new Set<Openable>()
  readonly #open = new Set<ReplicaSet>()

  constructor({ name, nodes, operator }: RouterSettings) {
    this.state = new Operator(operator)
    this.name = name
    this.#nodes = nodes
  }

  created(router: Openable): void {
    this.#routers.add(router)
  }

  opened(set: ReplicaSet): void {
    this.#open.add(set)
  }

  closed(router: Openable, set: ReplicaSet): void {
    this.#routers.delete(router)
    this.#open.delete(set)
  }

  async ready(): Promise<ClusterStatus> {
    if (this.#routers.size === 0) {
      throw new WritePinningError(
        'ERR_WRITE_PINNING_NOT_OPEN',
        `There is no database of cluster '${this.name}' that could get ready: no Kysely instance was made with this dialect, or ` +
          'all of them were destroyed. Write `new Kysely({ dialect })` first, and `await dialect.ready()` behind it.',
      )
    }
    await Promise.all([...this.#routers].map((router) => router.init()))
    return this.status()
  }

  /** The status of the router that was opened last. Before that, a status made from the options. */
  status(): ClusterStatus {
    const set = [...this.#open].at(-1)
    set?.refreshIfOld()
    if (set !== undefined) return statusOf(set)
    return statusBeforeOpen(this.name, this.#nodes, this.state)
  }

  drain(name: string): void {
    this.#mustBeReplica(name)
    this.state.drained.add(name)
    this.#refresh()
  }

  resume(name: string): void {
    this.#mustBeReplica(name)
    this.state.drained.delete(name)
    this.#refresh()
  }

  setMode(mode: Mode): void {
    const known = MODES.find((each) => each === mode)
    if (known === undefined) throw choiceError('setMode()', 'mode', mode, `one of '${MODES.join("', '")}'`)
    this.state.mode = known
    this.#refresh()
  }

  setReplicaShare(share: number): void {
    const { min, max, expected } = SHARE
    if (typeof share !== 'number' || !(share >= min && share <= max)) {
      throw choiceError('setReplicaShare()', 'share', share, expected)
    }
    this.state.replicaShare = share
  }

  #refresh(): void {
    for (const set of this.#open) set.refresh()
  }

  #mustBeReplica(name: string): void {
    const [set] = this.#open
    const primary = set?.primary ?? this.#nodes.primary
    const replicas: readonly { readonly name: string }[] = set?.replicas ?? this.#nodes.replicas
    if (replicas.some((node) => node.name === name)) return
    if (name === primary.name) {
      throw new WritePinningError(
        'ERR_WRITE_PINNING_NODE',
        `'${name}' is the primary of cluster '${this.name}': there is nobody to take its place.`,
      )
    }
    throw new WritePinningError(
      'ERR_WRITE_PINNING_UNKNOWN_NODE',
      `Cluster '${this.name}' has no replica called '${name}'; it has ${replicas.map((each) => `'${each.name}'`).join(', ')}.`,
    )
  }
}
