import { type NodeChange, nodeChannel, warn } from '../diagnostics.ts'
import { ineligibilityOf } from './eligibility.ts'
import type { Failure } from './failure.ts'
import type { Ineligibility, Node } from './node.ts'

/** How long nothing more is said of there being no replica, in ms. */
const NO_REPLICA_REST_MS = 60_000

/** Tells the operator what happens to the nodes of one cluster: every change by a channel, what needs a hand by a warning. */
export class NodeReports {
  readonly #cluster: string
  readonly #said = new Set<string>()
  #noReplicaAtMs = Number.NEGATIVE_INFINITY

  constructor(cluster: string) {
    this.#cluster = cluster
  }

  changed(node: Node, change: NodeChange, because?: string): void {
    if (nodeChannel.hasSubscribers) {
      nodeChannel.publish({ cluster: this.#cluster, node: node.name, change, because })
    }
  }

  /** At the start: which nodes could not be reached. */
  notReached(nodes: readonly Node[]): void {
    for (const node of nodes) {
      const what =
        node.role === 'primary' ? 'the primary, so writes fail' : 'a replica, so others serve its reads'
      this.#warn(
        'WRITE_PINNING_NODE_DOWN',
        `'${node.name}' cannot be reached (${node.downBecause ?? 'no answer yet'}); it is ${what}. It goes on being asked.`,
      )
    }
  }

  /** With failover: which replicas will not be able to say soon that they follow the new primary. */
  blindReplicas(replicas: readonly Node[]): void {
    const blind = replicas.filter(({ sighting }) => sighting?.isInRecovery && sighting.seesReceiver === false)
    if (blind.length === 0) return
    this.#warn(
      'WRITE_PINNING_NO_MONITOR',
      `after a failover ${blind.map(({ name }) => `'${name}'`).join(', ')} will serve no reads for minutes (until the next restartpoint), ` +
        'because the role that connects may not see which timeline they follow: `grant pg_monitor` to it.',
    )
  }

  /** All replicas are unfit: the primary serves what it can. */
  noReplica(replicas: readonly Node[]): void {
    const nowMs = performance.now()
    if (nowMs - this.#noReplicaAtMs < NO_REPLICA_REST_MS) return
    this.#noReplicaAtMs = nowMs
    const why = replicas.map((node) => `'${node.name}': ${node.ineligibility}`).join(', ')
    this.#warn(
      'WRITE_PINNING_NO_REPLICA_FIT',
      `No replica is fit to serve reads (${why}), so the primary serves them with up to half of its pool, and whatever is late but healthy the rest (\`whenNoReplica: 'error'\` forbids both).`,
    )
  }

  /** An error of connecting that somebody has to put right. */
  failed(node: Node, failure: Failure, error: unknown): void {
    if (failure === 'lost' || failure === 'overload') return
    const { code = '', message = String(error) } = error as { code?: unknown; message?: string }
    if (!this.#once(`${node.name} ${code}`)) return
    this.#warn(
      failure === 'misconfigured' ? 'WRITE_PINNING_NODE_MISCONFIGURED' : 'WRITE_PINNING_NODE_UNREADABLE',
      failure === 'misconfigured'
        ? `'${node.name}' refuses to be connected to as its configuration says (${code}: ${message}).`
        : `'${node.name}' cannot be asked for its state (${message}), so it serves no reads as a replica.`,
    )
  }

  unwatched(node: Node): void {
    if (!this.#once(`unwatched ${node.name}`)) return
    this.#warn(
      'WRITE_PINNING_NODE_UNWATCHED',
      `The pool of '${node.name}' has no member \`Client\`, so nobody watches whether that node is up or late.`,
    )
  }

  /** What a node is, where that is not what the configuration says. */
  role(node: Node, primary: Node): void {
    const sighting = node.sighting
    if (sighting === undefined || node.loadBalanced) return
    if (node === primary) {
      if (sighting.isInRecovery && this.#once(`demoted ${node.name} ${sighting.startedAt}`)) {
        this.#warn(
          'WRITE_PINNING_PRIMARY_IN_RECOVERY',
          `'${node.name}' is the primary and is in recovery: it was demoted, or its address is a replica's. Writes fail there.`,
        )
      }
      return
    }
    const why = ineligibilityOf(node, { primary, maxLagBytes: undefined })
    const text = ROLE_TEXTS[why ?? 'fit']?.(node, primary)
    if (text === undefined || (why === undefined && sighting.isInRecovery)) return
    // Where the primary has not been seen yet, nobody knows whether it is the same server.
    if (primary.sighting === undefined || !this.#once(`${why} ${node.name} ${sighting.startedAt}`)) return
    this.#warn('WRITE_PINNING_NODE_ROLE', text)
  }

  switched(from: Node, to: Node): void {
    this.changed(to, 'primary')
    this.changed(from, 'replica')
    this.#warn(
      'WRITE_PINNING_FAILOVER',
      `'${to.name}' is the primary now, on timeline ${to.sighting?.timeline}; '${from.name}' is not any more.`,
    )
  }

  #once(what: string): boolean {
    if (this.#said.has(what)) return false
    this.#said.add(what)
    return true
  }

  #warn(code: string, message: string): void {
    warn(code, `Cluster '${this.#cluster}': ${message}`)
  }
}

type RoleText = (node: Node, primary: Node) => string

const ROLE_TEXTS: Partial<Record<Ineligibility | 'fit', RoleText>> = {
  fit: (node, primary) =>
    `'${node.name}' is a replica by its configuration and the same server as '${primary.name}': its reads load the primary.`,
  'not-in-recovery': (node, primary) =>
    node.configured === 'primary'
      ? `'${node.name}' is not the primary any more and still takes writes, which are lost to '${primary.name}'. It serves no reads until it follows that.`
      : `'${node.name}' is a replica by its configuration and takes writes: it was promoted, or is another server. It serves no reads.`,
  'newer-timeline': (node, primary) =>
    `'${node.name}' follows another primary than '${primary.name}': one that was promoted. It serves no reads.`,
  'other-cluster': (node, primary) =>
    `'${node.name}' has other data than '${primary.name}': their system identifiers differ. It serves no reads.`,
  diverged: (node, primary) =>
    `'${node.name}' has replayed what '${primary.name}' never wrote: it diverged at a failover. It serves no reads until it is rebuilt.`,
}
