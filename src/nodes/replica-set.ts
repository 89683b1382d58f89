import { type Candidate, type Choice, choiceOf, rendezvous } from './choice.ts'
import { electPrimary, NewerTimeline } from './election.ts'
import { ineligibilityOf, isLate, isSameServer, leastLate, standardFor } from './eligibility.ts'
import { type Failure, failureOf, refusesSerializable } from './error-meaning.ts'
import { ExactPositions } from './exact-positions.ts'
import type { Ineligibility, Node } from './node.ts'
import { NodeReports } from './node-reports.ts'
import { NodeWatch } from './node-watch.ts'
import type { Operator } from './operator.ts'
import { waitAtMost } from './patience.ts'
import type { ReplicaSetSettings } from './set-options.ts'
import { SpillGate } from './spill-gate.ts'

/** How long it is waited at the start, in ms, until it is known how late the replicas are. */
const SETTLING_MS = 100
/** And at most, where nobody else would serve until then, in ms. */
const SETTLED_MS = 1_000
/** How long at most for the first word of the primary, or that there is none. */
const PRIMARY_MS = 5_000

/** The nodes of one cluster, watched, and the choice among those that are eligible. */
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
  /** Until when what is known of those is good for a verdict, by `Date.now()`. */
  #knownUntilMs = Number.POSITIVE_INFINITY
  #wasSettling = false
  /** Of the configured primary, when it was first seen. */
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
    // At least one connection, and never all of them.
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

  /** Whether any replica, eligible or not, is there for reads that name no node. */
  get isShared(): boolean {
    return this.#isShared
  }

  get eligible(): readonly Node[] {
    return this.#eligible
  }

  nodeNamed(name: string): Node | undefined {
    return this.nodes.find((node) => node.name === name)
  }

  /** Opens every node and begins to watch them; resolves when each was heard of, or was not within a probe's time. */
  async start(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.open()))
    const heard = Promise.all(this.nodes.map((node) => this.#watch.add(node)))
    await waitAtMost(heard, this.settings.probeTimeoutMs)
    await this.#waitWhile(() => this.#isAwaitingPrimary, PRIMARY_MS)
    // Where all is well, a replica lacks the first position of the primary's for some ms: its reads need not begin on the primary.
    await this.#waitWhile(() => this.isSettling, SETTLING_MS)
    this.refresh()
    this.reports.notReached(this.nodes.filter((node) => !node.isUp))
    if (this.settings.failover) this.reports.blindReplicas(this.#replicas)
    this.#isReady = true
    // What was told of at the start has an end of its own, however soon that comes.
    this.refresh()
  }

  /** Waits while it may be known any moment how late the replicas are; for a second at most. */
  settled(): Promise<void> {
    return this.#waitWhile(() => this.isSettling, SETTLED_MS)
  }

  /** Waits for verdicts while what they may tell is lacking; for so long at most. */
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

  /** Adds a replica that was discovered. */
  async add(node: Node): Promise<void> {
    await node.open()
    this.#replicas = [...this.#replicas, node]
    await this.#watch.add(node)
    this.refresh()
  }

  /** Takes a replica away that is no longer there; what it serves may end. */
  async remove(node: Node): Promise<void> {
    this.#replicas = this.#replicas.filter((each) => each !== node)
    this.refresh()
    await Promise.all([this.#watch.remove(node), this.positions.forget(node)])
    await node.end()
  }

  /** One of the replicas that may serve, other than those already tried; undefined where there is none. */
  choose(key: string | undefined, tried?: ReadonlySet<Node>): Node | undefined {
    return this.chooseAmong(
      tried === undefined ? this.#eligible : this.#eligible.filter((node) => !tried.has(node)),
      key,
    )
  }

  /** One of these replicas. */
  chooseAmong(candidates: readonly Node[], key: string | undefined): Node | undefined {
    if (candidates.length === 0) return undefined
    if (key !== undefined) return rendezvous(candidates, key)
    return this.#choice(candidates as readonly (Node & Candidate)[])
  }

  /** Whether a read that one node does not serve would be served by another, which was not tried. */
  hasOther(node: Node, tried?: ReadonlySet<Node>): boolean {
    if (this.#eligible.some((each) => each !== node && !tried?.has(each))) return true
    return this.settings.whenNoReplica === 'primary' && this.#primary.isUp && !tried?.has(this.#primary)
  }

  /** The least late of the replicas that answer, however late it is. */
  leastLagging(tried?: ReadonlySet<Node>): Node | undefined {
    return leastLate(this.#replicas, tried)
  }

  /** Hears of an error that a node gave to a query, or when connecting; its prober finds out what it means. */
  heard(node: Node, error: unknown): Failure {
    const failure = failureOf(error)
    if (failure === 'lost') node.forgetPosition()
    // One that is down is looked at all the time.
    if (failure === 'lost' && node.health !== 'down') this.#watch.look(node)
    else if (failure === 'misconfigured') this.reports.failed(node, failure, error)
    // Its sessions have become serializable: its prober, whose own are like them, finds that out over a new connection.
    else if (node.role === 'replica' && refusesSerializable(error)) this.#watch.look(node)
    return failure
  }

  /** Has a node looked at, at once; resolves at the verdict. */
  look(node: Node): Promise<void> {
    return this.#watch.verdict(node)
  }

  /** Another server has a node's name by now: whatever is known of the one before is forgotten, and nobody asks that any more. */
  moved(node: Node): void {
    this.#watch.moved(node)
    if (node === this.#primary) this.positions.forgetTold()
    void this.positions.forget(node)
  }

  /** Has a node asked at once, over the connection that its prober has. */
  ask(node: Node): void {
    this.#watch.ask(node)
  }

  /** Whether a node that was the primary turns out to be none: asks its server, and waits for the answer. */
  async wasDemoted(node: Node): Promise<boolean> {
    await this.look(node)
    return node !== this.#primary || node.sighting?.isInRecovery === true
  }

  /**
   * Draws the conclusions from the time alone: where this process was stopped, or its host suspended, what it knows of the nodes is old,
   * and a request may come before the nodes are asked again.
   */
  doubtOld(): void {
    if (Date.now() > this.#knownUntilMs) this.refresh()
  }

  /** Draws the conclusions from what is known of the nodes. */
  refresh(): void {
    if (this.settings.failover) this.#elect()
    const wasEligible = this.#eligible
    this.#judgeAll()
    const eligible = this.#replicas.filter((node) => node.isEligible && node.weight > 0)
    // The primary under another name (an endpoint that follows it, after a failover) spares it nothing.
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
    const standard = standardFor(this.#replicas, { primary: this.#primary, maxLagBytes, nowMs })
    for (const node of this.nodes) {
      const before = node.ineligibility
      node.wasJudged(ineligibilityOf(node, standard))
      if (node === this.#primary) continue
      if (node.isEligible) this.#knownUntilMs = Math.min(this.#knownUntilMs, node.knownUntilMs)
      if (node.ineligibility !== before) this.#tellOfJudged(node, before)
    }
  }

  /** Tells the operator, and whoever waits for a replica, which ones serve by now. */
  #tellOfEligible(wasEligible: readonly Node[]): void {
    const [eligible] = this.#eligible
    const wasSettling = this.#wasSettling
    this.#wasSettling = eligible === undefined && this.isSettling
    if (eligible === undefined) {
      // Who waits because it might have been known soon need not wait on.
      if (wasSettling && !this.#wasSettling) this.spill.lookAgain()
      if (!this.#wasSettling && !this.#isAwaitingPrimary) this.reports.noReplica()
      return
    }
    this.reports.replicaServes(eligible)
    if (this.#eligible.some((node) => !wasEligible.includes(node))) this.spill.lookAgain()
  }

  /** Whether it may be known any moment how late a replica is. */
  get isSettling(): boolean {
    return this.#replicas.some((node) => isLate(node) && this.#watch.isHurrying(node))
  }

  /** Where the primary does not answer, reads would wait for it longer than it takes to know that, and that a replica must do. */
  get #isAwaitingPrimary(): boolean {
    return this.#watch.isAwaitingPrimary && this.#replicas.some(isLate)
  }

  #tellOfJudged(node: Node, before: Ineligibility | undefined): void {
    // One that was heard of before the primary was is no news.
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

  /** Another node is the primary from now on; the old one takes no writes, and what is under way on it ends. */
  #switchTo(elected: Node): void {
    const old = this.#primary
    this.#replicas = this.#replicas.map((node) => (node === elected ? old : node))
    this.#primary = elected
    elected.becomesPrimary()
    old.becomesReplica()
    this.#watch.forgetPositions()
    this.positions.forgetTold()
    this.reports.switched(old, elected)
  }
}
