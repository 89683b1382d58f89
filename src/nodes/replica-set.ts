import { type Candidate, type Choice, choiceOf, rendezvous } from './choice.ts'
import { electPrimary, NewerTimeline } from './election.ts'
import { ineligibilityOf, isSameServer, isUnfitByLag, leastLagging, rulesFor } from './eligibility.ts'
import { type Failure, failureOf, refusesSerializable } from './error-meaning.ts'
import { ExactPositions } from './exact-positions.ts'
import type { Ineligibility, Node } from './node.ts'
import { NodeReports } from './node-reports.ts'
import { NodeWatch } from './node-watch.ts'
import type { Operator } from './operator.ts'
import type { ReplicaSetSettings } from './replica-set-options.ts'
import { waitAtMost } from './running-time.ts'
import { SpillGate } from './spill-gate.ts'

/** How long the start waits for the lag of the replicas to become known, in ms. */
const SETTLING_MS = 100
/** The same for a read that no other node would serve, in ms. */
const SETTLED_MS = 1_000
/** How long the start waits for the primary's first answer, or for the verdict that there is none, in ms. */
const PRIMARY_MS = 5_000

/** The nodes of one cluster: watches them, and chooses among those that are eligible. */
export class ReplicaSet {
  readonly name: string
  readonly settings: ReplicaSetSettings
  readonly reports: NodeReports
  readonly spill: SpillGate
  readonly operator: Operator
  readonly positions: ExactPositions
  readonly newerTimeline: NewerTimeline
  readonly #watch: NodeWatch
  readonly #choice: Choice
  #primary: Node
  #replicas: readonly Node[]
  /** The replicas that may be chosen now. */
  #eligible: readonly Node[] = []
  #isShared = false
  /** Until when what is known of the eligible replicas may be used, by `Date.now()`. */
  #knownUntilMs = Number.POSITIVE_INFINITY
  #wasSettling = false
  /** The system identifier of the configured primary, when it was first seen. */
  #systemId: string | undefined
  #isReady = false

  constructor(parts: {
    readonly name: string
    readonly primary: Node
    readonly replicas: readonly Node[]
    readonly settings: ReplicaSetSettings
    readonly operator: Operator
  }) {
    const { name, primary, replicas, settings, operator } = parts
    this.name = name
    this.settings = settings
    this.operator = operator
    this.#primary = primary
    this.#replicas = replicas
    this.#choice = choiceOf(settings.choose, name)
    this.reports = new NodeReports(this)
    // Half of the pool, but at least one connection.
    this.spill = new SpillGate(name, () => Math.max(1, Math.floor(this.#primary.pool.max / 2)))
    this.positions = new ExactPositions(this)
    this.#watch = new NodeWatch(this, settings)
    this.newerTimeline = new NewerTimeline(this, settings.probeTimeoutMs)
  }

  get primary(): Node {
    return this.#primary
  }

  get replicas(): readonly Node[] {
    return this.#replicas
  }

  get nodes(): readonly Node[] {
    return [this.#primary, ...this.#replicas]
  }

  /** Whether there is any replica, eligible or not, for reads that name no node. */
  get isShared(): boolean {
    return this.#isShared
  }

  get eligible(): readonly Node[] {
    return this.#eligible
  }

  nodeNamed(name: string): Node | undefined {
    return this.nodes.find((node) => node.name === name)
  }

  /**
   * Opens every node and begins to watch it. Resolves when each node has answered or failed, or `probeTimeoutMs` are
   * over. After that it may wait for the primary's first answer, and for the lag of the replicas.
   */
  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.open()))
    const heard = Promise.all(this.nodes.map((node) => this.#watch.add(node)))
    await waitAtMost(heard, this.settings.probeTimeoutMs)
    await this.#waitWhile(() => this.#isAwaitingPrimary, PRIMARY_MS)
    // Normally a replica lacks the primary's first position for some ms. After this wait, replicas can serve from the
    // first read on.
    await this.#waitWhile(() => this.isSettling, SETTLING_MS)
    this.refresh()
    this.reports.notReached(this.nodes.filter((node) => !node.isUp))
    if (this.settings.failover) this.reports.blindReplicas(this.#replicas)
    this.#isReady = true
    // A fault that was reported at the start may already be over, and that is reported too.
    this.refresh()
  }

  /** Waits while the lag of the replicas may be known any moment; for a second at most. */
  settled(): Promise<void> {
    return this.#waitWhile(() => this.isSettling, SETTLED_MS)
  }

  /** Waits for verdicts while `isLacking()`; for `waitMs` at most. */
  async #waitWhile(isLacking: () => boolean, waitMs: number): Promise<void> {
    const wait = async () => {
      this.refresh()
      while (isLacking()) await this.#watch.nextVerdict()
    }
    await waitAtMost(wait(), waitMs)
  }

  async stop(): Promise<void> {
    await Promise.all([this.#watch.stop(), this.positions.stop()])
  }

  /** Adds a discovered replica. */
  async add(node: Node): Promise<void> {
    await node.open()
    this.#replicas = [...this.#replicas, node]
    await this.#watch.add(node)
    this.refresh()
  }

  /** Removes a replica that is gone. The statements that it still serves may end. */
  async remove(node: Node): Promise<void> {
    this.#replicas = this.#replicas.filter((each) => each !== node)
    this.refresh()
    await Promise.all([this.#watch.remove(node), this.positions.forget(node)])
    await node.end()
  }

  /** Chooses one of the eligible replicas that were not tried; undefined if there is none. */
  choose(key: string | undefined, tried?: ReadonlySet<Node>): Node | undefined {
    return this.chooseAmong(
      tried === undefined ? this.#eligible : this.#eligible.filter((node) => !tried.has(node)),
      key,
    )
  }

  /** Chooses one of these replicas: by the key, if there is one. */
  chooseAmong(candidates: readonly Node[], key: string | undefined): Node | undefined {
    if (candidates.length === 0) return undefined
    if (key !== undefined) return rendezvous(candidates, key)
    return this.#choice(candidates as readonly (Node & Candidate)[])
  }

  /** Whether another node that was not tried would serve a read that this node does not. */
  hasOther(node: Node, tried?: ReadonlySet<Node>): boolean {
    if (this.#eligible.some((each) => each !== node && !tried?.has(each))) return true
    return this.settings.whenNoReplica === 'primary' && this.#primary.isUp && !tried?.has(this.#primary)
  }

  /** The replica that lags least of those that answer, however much it lags. */
  leastLagging(tried?: ReadonlySet<Node>): Node | undefined {
    return leastLagging(this.#replicas, tried)
  }

  /** A node gave this error to a query or to a connect. Has the node probed, if the error may mean that it is down. */
  heard(node: Node, error: unknown): Failure {
    const failure = failureOf(error)
    if (failure === 'lost') node.forgetPosition()
    // A node that is down is probed all the time anyway.
    if (failure === 'lost' && node.health !== 'down') this.#watch.probeAnew(node)
    else if (failure === 'misconfigured') this.reports.failed(node, failure, error)
    // The node's sessions have become serializable. Its prober has sessions like them, and finds that out over a new
    // connection.
    else if (node.role === 'replica' && refusesSerializable(error)) this.#watch.probeAnew(node)
    return failure
  }

  /** Probes a node at once, and over a new connection too. Resolves at the verdict. */
  look(node: Node): Promise<void> {
    return this.#watch.probeAndWait(node)
  }

  /** A node's name leads to another server now. Forgets what is known of the old server, and stops asking it. */
  moved(node: Node): void {
    this.#watch.moved(node)
    if (node === this.#primary) this.positions.forgetReported()
    void this.positions.forget(node)
  }

  /** Probes a node at once, over its standing connection. */
  ask(node: Node): void {
    this.#watch.probeStanding(node)
  }

  /** Whether a node that was the primary is no primary any more. Asks its server, and waits for the answer. */
  async wasDemoted(node: Node): Promise<boolean> {
    await this.look(node)
    return node !== this.#primary || node.sighting?.isInRecovery === true
  }

  /**
   * Judges the nodes again if what is known of them is too old. After this process was stopped, or its host suspended,
   * a request may come before the nodes were probed again.
   */
  refreshIfOld(): void {
    if (Date.now() > this.#knownUntilMs) this.refresh()
  }

  /** Elects the primary (with `failover`), and judges which replicas are eligible, by what is known of the nodes. */
  refresh(): void {
    if (this.settings.failover) this.#elect()
    const wasEligible = this.#eligible
    this.#judgeAll()
    const eligible = this.#replicas.filter((node) => node.isEligible && node.weight > 0)
    // A replica that is the primary under another name (an endpoint that follows it, after a failover) takes no load
    // off the primary.
    const others = eligible.filter((node) => !isSameServer(node, this.#primary))
    this.#eligible = others.length > 0 ? others : eligible
    this.#isShared = this.#replicas.some((node) => node.weight > 0)
    if (this.#isReady && this.#isShared) this.#tellOfEligible(wasEligible)
  }

  #judgeAll(): void {
    const nowMs = Date.now()
    if (nowMs > this.#knownUntilMs) this.#watch.hurry()
    this.#knownUntilMs = Number.POSITIVE_INFINITY
    for (const node of this.nodes) node.wasDrained(this.operator.drained.has(node.name))
    const { maxLagBytes } = this.settings
    const rules = rulesFor(this.#replicas, { primary: this.#primary, maxLagBytes, nowMs })
    for (const node of this.nodes) {
      const before = node.ineligibility
      node.wasJudged(ineligibilityOf(node, rules))
      if (node === this.#primary) continue
      if (node.isEligible) this.#knownUntilMs = Math.min(this.#knownUntilMs, node.knownUntilMs)
      if (node.ineligibility !== before) this.#tellOfJudged(node, before)
    }
  }

  /** Tells the operator, and the reads that wait for a replica, which replicas serve now. */
  #tellOfEligible(wasEligible: readonly Node[]): void {
    const [eligible] = this.#eligible
    const wasSettling = this.#wasSettling
    this.#wasSettling = eligible === undefined && this.isSettling
    if (eligible === undefined) {
      // The lag is not expected any moment now, so the reads that waited for it need not wait any longer.
      if (wasSettling && !this.#wasSettling) this.spill.lookAgain()
      if (!this.#wasSettling && !this.#isAwaitingPrimary) this.reports.noReplica()
      return
    }
    this.reports.replicaServes(eligible)
    if (this.#eligible.some((node) => !wasEligible.includes(node))) this.spill.lookAgain()
  }

  /** Whether the lag of a replica may be known any moment. */
  get isSettling(): boolean {
    return this.#replicas.some((node) => isUnfitByLag(node) && this.#watch.isHurrying(node))
  }

  /**
   * Whether to wait for the primary's first answer. Until there is one, or the verdict that there is none, reads would
   * wait for the primary. If there is none, a replica must serve them.
   */
  get #isAwaitingPrimary(): boolean {
    return this.#watch.isAwaitingPrimary && this.#replicas.some(isUnfitByLag)
  }

  #tellOfJudged(node: Node, before: Ineligibility | undefined): void {
    // This is no news: the replica was only heard from before the primary was.
    if (before === 'unknown' && node.ineligibility === 'lag-unknown') return
    this.reports.changed(node, node.isEligible ? 'fit' : 'unfit', node.ineligibility)
    this.reports.role(node, this.#primary)
  }

  #elect(): void {
    const configured = this.nodes.find((node) => node.configured === 'primary')
    this.#systemId ??= configured?.sighting?.systemId
    const elected = electPrimary(this.#primary, this.#replicas, this.#systemId)
    if (elected !== this.#primary) this.#switchTo(elected)
  }

  /**
   * Makes another node the primary from now on. The old one gets no more writes, and what is under way on it is cut
   * off.
   */
  #switchTo(elected: Node): void {
    const old = this.#primary
    this.#replicas = this.#replicas.map((node) => (node === elected ? old : node))
    this.#primary = elected
    elected.becomesPrimary()
    old.becomesReplica()
    this.#watch.forgetPositions()
    this.positions.forgetReported()
    this.reports.switched(old, elected)
  }
}
