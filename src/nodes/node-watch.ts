import { type Failure, isServerError } from './error-meaning.ts'
import { elapsedMs, type Moment, momentNow, PrimaryPositions, type SightingIntervals } from './lag.ts'
import { type Node, unavailable } from './node.ts'
import type { NodeReports } from './node-reports.ts'
import { PrimarySilence } from './primary-silence.ts'
import { probeOf, type Sighting } from './probe.ts'
import { type ProbeListener, Prober } from './prober.ts'
import type { ReplicaSetSettings } from './replica-set-options.ts'

/** How many probes in a row go unanswered before a node is ejected. */
const UNANSWERED = 2
/** The same if most nodes seem to fail at once: the fault is then likely in this process or its network. */
const UNANSWERED_BY_MOST = 3

/** The nodes to watch. `refresh()` is called after each news of a node: it judges them all again. */
interface Watched {
  readonly primary: Node
  readonly nodes: readonly Node[]
  readonly reports: NodeReports
  refresh(): void
}

/** Watches the nodes of one cluster, and records on each what is known of it: health, role, position and lag. */
export class NodeWatch implements ProbeListener {
  readonly #set: Watched
  readonly #settings: ReplicaSetSettings
  readonly #probers = new Map<Node, Prober>()
  readonly #intervals: SightingIntervals
  readonly #positions: PrimaryPositions
  /** Nodes whose last probe went unanswered. */
  readonly #unanswered = new Set<Node>()
  #silence: PrimarySilence
  /** When any node was last seen. */
  #seen: Moment | undefined
  #startedAtMs: number | undefined

  constructor(set: Watched, settings: ReplicaSetSettings) {
    this.#set = set
    this.#settings = settings
    const { probeIntervalMs, probeTimeoutMs } = settings
    this.#intervals = {
      sightingMs: probeIntervalMs + probeTimeoutMs,
      verdictMs: 2 * probeIntervalMs + UNANSWERED_BY_MOST * probeTimeoutMs,
    }
    this.#positions = new PrimaryPositions(this.#intervals)
    this.#silence = new PrimarySilence(set.primary)
  }

  /** Whether the primary was not heard from yet, but its first answer, or a verdict, will come soon. */
  get isAwaitingPrimary(): boolean {
    const { health, refusesNewSessions } = this.#set.primary
    if (health !== 'unknown' || refusesNewSessions || this.#startedAtMs === undefined) return false
    return performance.now() - this.#startedAtMs < this.#intervals.verdictMs
  }

  /** Whether a node is being asked at a short pace: what is unknown of it may be known soon. */
  isHurrying(node: Node): boolean {
    return this.#probers.get(node)?.isHurrying === true
  }

  /** Watches a node from now on; resolves at the first verdict. */
  async add(node: Node): Promise<void> {
    if (!node.pool.canBeWatched) {
      node.goesUnwatched()
      this.#set.reports.unwatched(node)
      return
    }
    if (this.#probers.has(node)) return
    this.#startedAtMs ??= performance.now()
    const { probeTimeoutMs, lagSource } = this.#settings
    const probe = probeOf(lagSource, probeTimeoutMs)
    const prober = new Prober(node, { ...this.#settings, probe }, this)
    this.#probers.set(node, prober)
    await prober.start()
  }

  async remove(node: Node): Promise<void> {
    const prober = this.#probers.get(node)
    this.#probers.delete(node)
    this.#unanswered.delete(node)
    await prober?.stop()
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#probers.values()].map((prober) => prober.stop()))
    this.#probers.clear()
  }

  /** Resolves at the next verdict on any node. */
  async nextVerdict(): Promise<void> {
    await Promise.race([...this.#probers.values()].map((prober) => prober.nextVerdict()))
  }

  /** Probes a node at once, and over a new connection too. */
  probeAnew(node: Node): void {
    this.#probers.get(node)?.probeAnew()
  }

  /** Probes a node at once, over its standing connection. */
  probeStanding(node: Node): void {
    this.#probers.get(node)?.probeStanding()
  }

  /** Probes a node at once, and over a new connection too. Resolves at the verdict. */
  async probeAndWait(node: Node): Promise<void> {
    await this.#probers.get(node)?.probeAndWait()
  }

  /**
   * Probes all nodes at once and then at a short pace, over their standing connections, because what is known of them
   * is too old.
   */
  hurry(): void {
    for (const prober of this.#probers.values()) prober.hurry()
  }

  /** A node's name leads to another server now. Forgets what was seen of the old server, and stops asking it. */
  moved(node: Node): void {
    if (node === this.#set.primary) {
      this.#silence.end()
      this.#positions.clear()
      for (const each of this.#set.nodes) each.forgetPosition()
    }
    node.changedServer()
    // Answers that the old server still gives are ignored.
    void this.remove(node)
    void this.add(node)
    this.#probers.get(node)?.hurry()
    this.#set.refresh()
  }

  /** Another node is the primary now. The positions of the old primary say nothing about it. */
  forgetPositions(): void {
    this.#positions.clear()
    for (const node of this.#set.nodes) node.forgetPosition()
    const { primary } = this.#set
    this.#silence = new PrimarySilence(primary)
    const { sighting } = primary
    if (sighting?.position !== undefined) this.#positions.add(sighting, sighting.position)
    this.#measureAnew()
  }

  onSeen(node: Node, sighting: Sighting): void {
    this.#unanswered.delete(node)
    // Nothing was heard from any node for a while: this process was stopped. The first answers may already be out of
    // date.
    if (this.#seen !== undefined && elapsedMs(this.#seen, sighting) > this.#intervals.verdictMs) this.hurry()
    this.#seen = sighting
    if (node === this.#set.primary) this.#silence.end()
    this.#see(node, sighting)
    this.#rise(node)
    if (node === this.#set.primary || (node.lagMs ?? Number.POSITIVE_INFINITY) <= node.maxLagMs) {
      this.#probers.get(node)?.calm()
    }
    this.#set.refresh()
    if (node === this.#set.primary) this.#set.reports.role(node, node)
  }

  onFailed(node: Node, failure: Failure, error: unknown): void {
    this.#unanswered.delete(node)
    this.#set.reports.failed(node, failure, error)
    const isUnreadable = (failure === 'other' || failure === 'misrouted') && isServerError(error)
    if (failure === 'overload') node.wasFull((error as { message?: string }).message)
    else if (isUnreadable) {
      node.answeredUnreadably()
      this.#rise(node)
    } else this.#fall(node, error, failure === 'misconfigured' || failure === 'other')
    if (node === this.#set.primary) {
      if (failure === 'lost') this.#primaryIsSilent('refused')
      else {
        this.#silence.end()
        // Its server answers, and can tell each client by itself why it may not connect.
        if (isServerError(error)) node.pool.readmit()
      }
    }
    this.#set.refresh()
  }

  onUnanswered(node: Node, times: number): boolean {
    this.#unanswered.add(node)
    const wasDown = node.health === 'down'
    const isDown = wasDown || times >= (this.#areMostUnanswered() ? UNANSWERED_BY_MOST : UNANSWERED)
    if (isDown) this.#fall(node, new Error('it does not answer'), false)
    if (node === this.#set.primary) this.#primaryIsSilent('unanswered')
    if (isDown && !wasDown) this.#set.refresh()
    return isDown
  }

  onHurried(): void {
    this.#set.refresh()
  }

  onLost(node: Node): void {
    // A server that has crashed may come up behind where it was, and with the same start time.
    node.forgetPosition()
  }

  #see(node: Node, seen: Sighting): void {
    const { primary } = this.#set
    const { atMs, position, isInRecovery, startedAt, answeredAtMs } = seen
    node.answered(seen)
    if (node === primary) {
      // A server in recovery is no primary: it writes nothing that a replica could lack.
      if (position === undefined || isInRecovery) this.#positions.wasDown(seen)
      else if (this.#positions.add(seen, position)) this.#measureAnew()
      this.#findDiverged(seen)
      return
    }
    if (position === undefined) node.forgetPosition()
    else node.hadReplayed({ lsn: position, askedAtMs: atMs, startedAt }, primary.isUp, answeredAtMs)
    this.#measure(node, seen)
  }

  /** Records the lag that a replica had when it was last seen, and how long that may be used. */
  #measure(node: Node, sighting: Sighting): void {
    const { lagSource, maxLagBytes } = this.#settings
    const { position, isInRecovery, atClockMs } = sighting
    let lagMs: number | undefined
    let lagBytes: number | undefined
    if (lagSource !== 'wal') lagMs = sighting.lagMs
    else if (!isInRecovery) {
      lagMs = 0
      lagBytes = 0
    } else if (position !== undefined) {
      lagMs = this.#positions.lagMs(position, sighting)
      lagBytes = this.#positions.lagBytes(position, sighting)
    }
    // Since then its lag in ms has grown by no more than the time that has passed. Its lag in bytes may have grown by
    // any number.
    const roomMs = maxLagBytes === undefined ? Math.max(0, node.maxLagMs - (lagMs ?? 0)) : 0
    node.wasMeasured({ lagMs, lagBytes, knownUntilMs: atClockMs + roomMs + this.#intervals.verdictMs })
  }

  /**
   * The primary was seen for the first time, or after a gap. Measures the replicas by that, and asks them again at
   * once.
   */
  #measureAnew(): void {
    for (const node of this.#set.nodes) {
      if (node === this.#set.primary) continue
      // A replica that was asked before the primary may already have had all of it.
      if (node.lagMs === undefined && node.sighting !== undefined) this.#measure(node, node.sighting)
      this.#probers.get(node)?.hurry()
    }
  }

  /**
   * The primary did not answer its probe. If the sessions of its pool hear nothing either, and it is down, it writes
   * nothing that replicas could lack. If they do hear from it, it may still write unseen, so the lag of the replicas
   * grows.
   */
  #primaryIsSilent(how: 'refused' | 'unanswered'): void {
    const isSilent = this.#silence.probeFailed(how)
    if (isSilent && this.#set.primary.health === 'down') this.#positions.wasDown(momentNow())
  }

  /**
   * Finds replicas that have replayed more than their primary has flushed. Such a replica followed another primary.
   */
  #findDiverged({ atMs, position, isInRecovery }: Sighting): void {
    if (position === undefined || isInRecovery) return
    for (const node of this.#set.nodes) {
      const its = node.sighting
      if (node.loadBalanced || !its?.isInRecovery || its.position === undefined || its.answeredAtMs > atMs)
        continue
      if (its.position > position) node.diverged()
    }
  }

  #rise(node: Node): void {
    if (node.wentUp()) this.#set.reports.changed(node, 'up')
  }

  #fall(node: Node, error: unknown, refusesNewSessions: boolean): void {
    const because = (error as { message?: string }).message || String((error as { code?: unknown }).code)
    if (!node.wentDown(because, refusesNewSessions)) return
    this.#set.reports.changed(node, 'down', because)
    // What waits for the primary has nowhere else to go, and the primary may come back.
    if (node === this.#set.primary) return
    node.pool.cutOff(unavailable(`'${node.name}' was ejected: ${because}`, { cause: error }))
  }

  #areMostUnanswered(): boolean {
    const { nodes, primary } = this.#set
    if (nodes.length < 3 || !this.#unanswered.has(primary)) return false
    return this.#unanswered.size * 2 > nodes.length
  }
}
