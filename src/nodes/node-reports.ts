import { type NodeChange, nodeChannel, warn } from '../diagnostics.ts'
import { ineligibilityOf, mayServeDespiteLag, whyIneligible } from './eligibility.ts'
import { type Failure, isServerError, whatIsRefused } from './error-meaning.ts'
import type { Ineligibility, Node } from './node.ts'
import type { NodeOptions } from './node-options.ts'

/** The least time between two warnings that no replica serves, in ms. */
const NO_REPLICA_REST_MS = 60_000

/** The nodes to report on, and what serves when no replica is eligible. */
interface Reported {
  readonly name: string
  readonly replicas: readonly Node[]
  readonly settings: {
    readonly maxLagBytes: number | undefined
    readonly whenNoReplica: 'primary' | 'error'
  }
}

/** A fault of a node that has a warning already: of its connection, its state, or its role. */
type Warned = 'unreachable' | 'unreadable' | Ineligibility

/**
 * Tells the operator what happens to the nodes of one cluster. Every change goes to a channel. A fault that a human
 * has to mend gives one warning.
 */
export class NodeReports {
  readonly #set: Reported
  readonly #said = new Set<string>()
  readonly #warned = new WeakMap<Node, Warned>()
  #noReplicaAtMs = Number.NEGATIVE_INFINITY
  /** Since when no replica has been eligible; undefined if that was not reported. */
  #withoutSinceMs: number | undefined

  constructor(set: Reported) {
    this.#set = set
  }

  changed(node: Node, change: NodeChange, because?: string): void {
    if (change === 'fit') this.#warned.delete(node)
    if (nodeChannel.hasSubscribers) {
      nodeChannel.publish({ cluster: this.#set.name, node: node.name, change, because })
    }
  }

  /** Warns at the start of nodes that could not be reached. */
  notReached(nodes: readonly Node[]): void {
    for (const node of nodes) {
      if (this.#isWarned(node)) continue
      this.#warned.set(node, 'unreachable')
      this.#warn(
        'WRITE_PINNING_NODE_DOWN',
        `'${node.name}' cannot be reached (${node.downBecause ?? 'no answer yet'}). ${this.#consequence(node)} It goes on being asked.`,
      )
    }
  }

  /**
   * With `failover`: warns of replicas that will need minutes after a failover to prove that they follow the new
   * primary. This database user may not see their receiver, which would show it at once.
   */
  blindReplicas(replicas: readonly Node[]): void {
    const blind = replicas.filter(({ sighting }) => sighting?.isInRecovery && sighting.seesReceiver === false)
    if (blind.length === 0) return
    this.#warn(
      'WRITE_PINNING_NO_MONITOR',
      `after a failover ${blind.map(({ name }) => `'${name}'`).join(', ')} will serve no reads for minutes (until the next restartpoint), ` +
        'because the role that connects may not see which timeline they follow: `grant pg_monitor` to it.',
    )
  }

  /** Warns that no replica is eligible, and says what serves instead. Once, until one is eligible again. */
  noReplica(): void {
    if (this.#withoutSinceMs !== undefined) return
    const nowMs = performance.now()
    const shared = this.#set.replicas.filter(({ weight }) => weight > 0)
    if (shared.every((node) => this.#isWarned(node))) {
      // The warnings of their faults have already said what serves instead.
      this.#withoutSinceMs = nowMs
      return
    }
    if (nowMs - this.#noReplicaAtMs < NO_REPLICA_REST_MS) return
    this.#noReplicaAtMs = nowMs
    this.#withoutSinceMs = nowMs
    const why = shared.map((node) =>
      this.#isWarned(node)
        ? `'${node.name}' (see the warning before)`
        : whyIneligible(node, this.#set.settings.maxLagBytes),
    )
    const isAnyLate = shared.some(mayServeDespiteLag)
    this.#warn(
      'WRITE_PINNING_NO_REPLICA_FIT',
      `No replica serves reads now: ${why.join(', ')}. ${this.#insteadOfReplicas(isAnyLate)} ` +
        'A replica serves again, by itself, as soon as it is fit; a warning says so then.',
    )
  }

  /** Reports that a replica is eligible again, if there was a warning that none is. */
  replicaServes(replica: Node): void {
    if (this.#withoutSinceMs === undefined) return
    const seconds = Math.round((performance.now() - this.#withoutSinceMs) / 1_000)
    this.#withoutSinceMs = undefined
    this.#warn(
      'WRITE_PINNING_REPLICA_FIT_AGAIN',
      `'${replica.name}' serves reads again, after ${seconds} s without any replica.`,
    )
  }

  /** Warns of an error in connecting that a human has to mend. */
  failed(node: Node, failure: Failure, error: unknown): void {
    if (failure === 'lost' || failure === 'overload') return
    const { code = '', message = String(error) } = error as { code?: unknown; message?: string }
    if (!this.#once(`${node.name} ${code}`)) return
    const isMisconfigured = failure === 'misconfigured'
    this.#warned.set(node, isMisconfigured || !isServerError(error) ? 'unreachable' : 'unreadable')
    this.#warn(
      isMisconfigured ? 'WRITE_PINNING_NODE_MISCONFIGURED' : 'WRITE_PINNING_NODE_UNREADABLE',
      isMisconfigured
        ? `'${node.name}' refuses to be connected to as its configuration says (${code}: ${message}). ${this.#consequence(node)} Look at its user, password and database.`
        : `'${node.name}' cannot be asked for its state (${message}). ${this.#consequence(node)}`,
    )
  }

  /** Warns of a replica that refuses a text again, after a pause, although the primary accepts it. */
  keepsRefusing(node: Node, error: unknown): void {
    if (!this.#once(`refuses ${node.name}`)) return
    const { code } = error as { code?: unknown }
    this.#warn(
      'WRITE_PINNING_REPLICA_REFUSES',
      `'${node.name}' keeps refusing a read (${code}: ${whatIsRefused(error)}) that the primary accepts, so the primary serves it; it is asked again at times. ` +
        'Has that replica replayed your last migration, and is it a replica of this primary? ROUTE_CHANNEL tells which reads they are: their reason is `refused`.',
    )
  }

  /** Warns that the name of discovered nodes cannot be looked up, so there are none. Once, until a lookup succeeds. */
  notLookedUp({ name, discover }: NodeOptions, error: unknown): void {
    if (!this.#once(`looked up ${name}`)) return
    const { code, message } = error as { code?: string; message?: string }
    this.#warn(
      'WRITE_PINNING_DISCOVER',
      `'${discover?.host}' cannot be looked up (${code ?? message}), so there are no replicas of that name.`,
    )
  }

  lookedUp({ name }: NodeOptions): void {
    this.#said.delete(`looked up ${name}`)
  }

  unwatched(node: Node): void {
    if (!this.#once(`unwatched ${node.name}`)) return
    this.#warn(
      'WRITE_PINNING_NODE_UNWATCHED',
      `The pool of '${node.name}' has no member \`Client\`, so nobody watches whether that node is up or late.`,
    )
  }

  /** Warns if a node is not what the configuration says. */
  role(node: Node, primary: Node): void {
    const sighting = node.sighting
    if (sighting === undefined) return
    if (node === primary) {
      if (sighting.isInRecovery && this.#once(`demoted ${node.name} ${sighting.startedAt}`)) {
        this.#warn(
          'WRITE_PINNING_PRIMARY_IN_RECOVERY',
          `'${node.name}' is the primary and is in recovery: it was demoted, or its address is a replica's. Writes fail there.`,
        )
      }
      return
    }
    const why = ineligibilityOf(node, {
      primary,
      maxLagBytes: undefined,
      nowMs: Date.now(),
      isNoneEligible: true,
    })
    // A load-balanced address leads to one server now and to another later, but they must all have the same database.
    if (node.loadBalanced && why !== 'other-database') return
    const text = ROLE_TEXTS[why ?? 'fit']?.(node, primary)
    if (text === undefined || (why === undefined && sighting.isInRecovery)) return
    // Until the primary was seen, it is unknown whether the two are one server.
    if (primary.sighting === undefined || !this.#once(`${why} ${node.name} ${sighting.startedAt}`)) return
    if (why !== undefined) this.#warned.set(node, why)
    this.#warn('WRITE_PINNING_NODE_ROLE', why === undefined ? text : `${text} ${this.#consequence(node)}`)
  }

  switched(from: Node, to: Node): void {
    this.changed(to, 'primary')
    this.changed(from, 'replica')
    this.#warn(
      'WRITE_PINNING_FAILOVER',
      `'${to.name}' is the primary now, on timeline ${to.sighting?.timeline}; '${from.name}' is not any more.`,
    )
  }

  /** Whether the current fault of a node already has a warning of its own. */
  #isWarned(node: Node): boolean {
    const warned = this.#warned.get(node)
    if (warned === 'unreachable') return !node.isUp
    if (warned === 'unreadable') return node.sighting === undefined
    return warned !== undefined && warned === node.ineligibility
  }

  /** What a node's fault means for reads and writes. */
  #consequence(node: Node): string {
    if (node.role === 'primary') return 'It is the primary: writes fail.'
    if (node.weight === 0) return 'Reads that name it fail.'
    const isError = this.#set.settings.whenNoReplica === 'error'
    const isOnly = !this.#set.replicas.some((each) => each !== node && each.weight > 0)
    if (isOnly) {
      const what = isError ? 'reads fail with `statusCode` 503' : 'the primary serves its reads'
      return `There is no other replica now, so ${what}; a warning says when that is over.`
    }
    return `Other replicas serve its reads${isError ? '' : ', or the primary where none is fit'}.`
  }

  /** What happens to reads that no replica can serve. */
  #insteadOfReplicas(isAnyLate: boolean): string {
    if (this.#set.settings.whenNoReplica === 'error') {
      return "Such reads fail with `statusCode` 503, because `whenNoReplica` is 'error'."
    }
    const rest = isAnyLate
      ? 'the least late replica serves the rest'
      : 'the rest wait for at most 1 s, and fail then with `statusCode` 503'
    return `The primary serves them instead, with at most half of its pool, so that writes find a connection; ${rest}.`
  }

  #once(what: string): boolean {
    if (this.#said.has(what)) return false
    this.#said.add(what)
    return true
  }

  #warn(code: string, message: string): void {
    warn(code, `Cluster '${this.#set.name}': ${message}`)
  }
}

type RoleText = (node: Node, primary: Node) => string

const ROLE_TEXTS: Partial<Record<Ineligibility | 'fit', RoleText>> = {
  fit: (node, primary) =>
    `'${node.name}' stands among the replicas and is the same server as '${primary.name}': its reads load the primary, so it serves them only while no other replica is fit.`,
  'not-in-recovery': (node, primary) =>
    node.configured === 'primary'
      ? `'${node.name}' is not the primary any more and still takes writes, which are lost to '${primary.name}'. It serves no reads until it follows that.`
      : `'${node.name}' is a replica by its configuration and takes writes: it was promoted, or is another server. It serves no reads.`,
  'newer-timeline': (node, primary) =>
    `'${node.name}' follows another primary than '${primary.name}': one that was promoted. It serves no reads.`,
  'other-cluster': (node, primary) =>
    `'${node.name}' has other data than '${primary.name}': their system identifiers differ. It serves no reads.`,
  'other-database': (node, primary) =>
    `'${node.name}' is connected to another database than '${primary.name}', of the same servers: its rows are not the same. Look at the database in its URL. It serves no reads.`,
  diverged: (node, primary) =>
    `'${node.name}' has replayed what '${primary.name}' never wrote: it diverged at a failover. It serves no reads until it is rebuilt.`,
}
