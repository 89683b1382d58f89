import { type Failure, failureOf } from './error-meaning.ts'
import type { Node } from './node.ts'
import type { Sighting } from './probe.ts'
import { NotConnected, ProbeConnection, type ProbeSettings } from './probe-connection.ts'
import { afterRunningTime, Unanswered } from './running-time.ts'

/** Which question a node is asked, how often, and how long to wait. */
export interface ProberSettings extends ProbeSettings {
  readonly probeIntervalMs: number
}

/** Gets what a prober finds. */
export interface ProbeListener {
  onSeen(node: Node, sighting: Sighting): void
  /** The node cannot be asked; `error` says why. */
  onFailed(node: Node, failure: Failure, error: unknown): void
  /** A probe went unanswered, for the `times`th time in a row. True if that is enough for a verdict. */
  onUnanswered(node: Node, times: number): boolean
  /** A connection to the node was lost. */
  onLost(node: Node): void
  /** The node was probed at a short pace for so long that callers need not wait for news of it any more. */
  onHurried(): void
}

/**
 * How much shorter than the interval a pause may be, as a fraction of it. So the nodes, and many processes, are not
 * asked all at once.
 */
const JITTER = 0.25
/** How long stopping waits for a probe that is under way, and for the server to close its side, in ms. */
const GRACE_MS = 250
/** The least pause between two probes, in ms. */
const REST_MS = 50
/** The first pause at a short pace, in ms. */
const HURRY_MS = 10
/** Once the pause has grown to this, in ms, a missing answer is no longer expected soon. */
const LONG_MS = 500

/**
 * Asks one node for its state, over one connection outside its pool: at a steady pace, and at once when something
 * seems wrong. A probe has `probeTimeoutMs`. Connecting to a far node takes several times as long, so it goes on from
 * probe to probe.
 */
export class Prober {
  readonly #node: Node
  readonly #settings: ProberSettings
  readonly #listener: ProbeListener
  readonly #connection: ProbeConnection
  #running: Promise<void> | undefined
  #isStopped = false
  #isAsking = false
  #wake: (() => void) | undefined
  #wantsNew = false
  #wantsStanding = false
  #isResting = false
  /** The next pause at a short pace, which grows to the usual one; undefined at the usual pace. */
  #hurryMs: number | undefined
  #heard: (() => void)[] = []

  constructor(node: Node, settings: ProberSettings, listener: ProbeListener) {
    this.#node = node
    this.#settings = settings
    this.#listener = listener
    this.#connection = new ProbeConnection(node, settings, () => {
      listener.onLost(node)
      this.probeAnew()
    })
  }

  /** Begins to probe. Resolves at the first verdict. */
  start(): Promise<void> {
    const first = this.nextVerdict()
    this.#running ??= this.#run()
    return first
  }

  /**
   * Probes at once, and over a new connection too, because a connection to the node was lost or refused. The standing
   * connection is kept until the new one has answered.
   */
  probeAnew(): void {
    this.#wantsNew = true
    if (!this.#isResting) this.#wake?.()
  }

  /** Probes at once, over the standing connection. */
  probeStanding(): void {
    this.#wantsStanding = true
    if (!this.#isResting) this.#wake?.()
  }

  /**
   * Probes at once and then at a short pace, over the standing connection, because a missing answer may come any
   * moment.
   */
  hurry(): void {
    this.#hurryMs = HURRY_MS
    this.#wake?.()
  }

  /** Goes back to the usual pace. */
  calm(): void {
    this.#hurryMs = undefined
  }

  /** Whether a missing answer may come any moment. After longer pauses, something else must be wrong. */
  get isHurrying(): boolean {
    return this.#hurryMs !== undefined && this.#hurryMs < LONG_MS
  }

  /** Probes at once, and over a new connection too. Resolves at the verdict of a probe that starts after this call. */
  async probeAndWait(): Promise<void> {
    if (this.#isAsking) await this.nextVerdict()
    const verdict = this.nextVerdict()
    this.probeAnew()
    await verdict
  }

  /** Resolves at the next verdict. */
  nextVerdict(): Promise<void> {
    return new Promise((resolve) => {
      this.#heard.push(resolve)
    })
  }

  /** Stops, and ends the connection. Does not wait for a frozen server. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#wake?.()
    const stopWaiting = afterRunningTime(GRACE_MS, () => this.#connection.cut())
    await this.#running
    await this.#connection.end()
    stopWaiting()
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.#isAsking = true
      const wantsNew = this.#wantsNew
      this.#wantsNew = false
      this.#wantsStanding = false
      await this.#probe(wantsNew)
      this.#isAsking = false
      const heard = this.#heard
      this.#heard = []
      for (const each of heard) each()
      this.#isResting = true
      const restMs = Math.min(REST_MS, this.#hurryMs ?? REST_MS)
      await this.#sleep(restMs)
      this.#isResting = false
      if (!this.#wantsNew && !this.#wantsStanding) await this.#sleep(Math.max(0, this.#pauseMs() - restMs))
    }
    for (const each of this.#heard) each()
  }

  #pauseMs(): number {
    const pauseMs = this.#paceMs()
    // There is no pause while a connection is being made: the next probe waits for it. A wait for a connection that
    // did not come counts as pause.
    if (this.#connection.isConnecting) return 0
    return this.#connection.isStanding ? pauseMs : pauseMs - this.#connection.wastedMs
  }

  #paceMs(): number {
    const intervalMs = this.#settings.probeIntervalMs * (1 - Math.random() * JITTER)
    const pauseMs = this.#hurryMs
    if (pauseMs === undefined) return intervalMs
    const wasHurrying = this.isHurrying
    this.#hurryMs = 2 * pauseMs < Math.max(intervalMs, LONG_MS) ? 2 * pauseMs : undefined
    if (wasHurrying && !this.isHurrying) this.#listener.onHurried()
    return Math.min(pauseMs, intervalMs)
  }

  /** Asks until there is an answer, or a verdict without one. Never throws. */
  async #probe(wantsNew: boolean): Promise<void> {
    const { probeTimeoutMs, connectTimeoutMs } = this.#settings
    let triedWithout = false
    let triedAnother = false
    // A new connection must answer as well, and may take a while. Meanwhile the standing one is asked.
    const isAnew = wantsNew || this.#connection.isConnecting
    if (isAnew) this.#connection.connect()
    let hasHeard = false
    /** For how many probe timeouts this probe has waited for a connection, so far unreported. */
    let waits = 0
    for (let unanswered = 0; !this.#isStopped; ) {
      const isOverStanding = this.#connection.isStanding && !hasHeard
      try {
        const sighting = isOverStanding
          ? await this.#connection.askStanding()
          : await this.#connection.askAnew()
        if (this.#isStopped) return
        this.#listener.onSeen(this.#node, sighting)
        if (!isOverStanding || !isAnew) return
        hasHeard = true
      } catch (error) {
        if (this.#isStopped) return
        if (error instanceof NotConnected) {
          if (hasHeard) return
          waits++
          // The prober's connection was lost. That alone does not show that the node is down, so the node gets the
          // time that connecting may take.
          const isOver = !this.#connection.isConnecting || waits * probeTimeoutMs >= connectTimeoutMs
          if (!isOver && unanswered === 0 && this.#wasUp) continue
          unanswered += waits
          waits = 0
          if (this.#listener.onUnanswered(this.#node, unanswered)) return
        } else if (error instanceof Unanswered) {
          hasHeard = false
          unanswered++
          if (this.#listener.onUnanswered(this.#node, unanswered)) return
        } else if (isOverStanding) {
          // A lost connection does not show that the node is down. The next turn of this loop tries a new one, and
          // that decides.
          this.#listener.onLost(this.#node)
        } else if (this.#node.loadBalanced && !triedAnother) {
          // Another server may answer at the same address.
          triedAnother = true
        } else if (!triedWithout && this.#node.pool.doWithoutReadOnly(error)) triedWithout = true
        else if (!this.#node.pool.doWithoutSerializable(error)) {
          const failure = failureOf(error)
          // The node lets no new connection in, but has just answered over the standing one.
          if (hasHeard && failure !== 'lost') return
          this.#connection.drop()
          this.#listener.onFailed(this.#node, failure, error)
          return
        }
      }
    }
  }

  /**
   * Whether the node was up at the last probe, so that only its connection is missing. A load-balanced address needs a
   * new connection for each probe.
   */
  get #wasUp(): boolean {
    return this.#node.health === 'up' && !this.#node.loadBalanced
  }

  #sleep(forMs: number): Promise<void> {
    if (this.#isStopped) return Promise.resolve()
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake?.(), forMs).unref()
      this.#wake = () => {
        clearTimeout(timer)
        this.#wake = undefined
        resolve()
      }
    })
  }
}
