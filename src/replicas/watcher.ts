import type { Failure } from './failure.ts'
import { failureOf } from './failure.ts'
import type { Node, Sighting } from './node.ts'
import { connected, type OwnClient } from './node-pool.ts'
import { Unanswered, withPatience } from './patience.ts'
import type { Probe } from './probe.ts'

/** How often, how patiently and with which question nodes are watched. */
export interface WatchSettings {
  readonly probeIntervalMs: number
  readonly probeTimeoutMs: number
  readonly probe: Probe
}

/** Who hears what a watcher finds. */
export interface WatchListener {
  onSeen(node: Node, sighting: Sighting): void
  /** The node cannot be watched, and why. */
  onFailed(node: Node, failure: Failure, error: unknown): void
  /** A probe went unanswered for the `times`th time in a row; gives whether that is enough. */
  onUnanswered(node: Node, times: number): boolean
  /** A connection to the node was lost. */
  onLost(node: Node): void
  /** The node was asked at a short pace for long enough. */
  onHurried(): void
}

/** How much shorter than the interval a pause may be, so that the nodes, and many processes, are not asked all at once. */
const JITTER = 0.25
/** How long a probe that is under way may take to end, and the server to close its side, when watching ends. */
const GRACE_MS = 250
/** How soon after a look another one is worth it. */
const REST_MS = 50
/** How soon it is asked again for the first time where it is asked at a short pace. */
const HURRY_MS = 10
/** Which pause is so long that what was lacked is not to be expected any moment. */
const LONG_MS = 500

/** Watches one node, over one connection of its own: it asks at a steady pace, and at once when something seems wrong. */
export class Watcher {
  readonly #node: Node
  readonly #settings: WatchSettings
  readonly #listener: WatchListener
  #client: OwnClient | undefined
  #running: Promise<void> | undefined
  #isStopped = false
  #isAsking = false
  #wake: (() => void) | undefined
  #wantsLook = false
  #isResting = false
  /** The next pause, where it is asked at a short pace that grows to the usual one; undefined where it is not. */
  #hurryMs: number | undefined
  #heard: (() => void)[] = []

  constructor(node: Node, settings: WatchSettings, listener: WatchListener) {
    this.#node = node
    this.#settings = settings
    this.#listener = listener
  }

  /** Begins; resolves when there is a first verdict. */
  start(): Promise<void> {
    const first = this.verdict()
    this.#running ??= this.#run()
    return first
  }

  /** Looks at once, over a new connection, because one was lost or refused: the node's or the watcher's own. */
  look(): void {
    this.#wantsLook = true
    if (!this.#isResting) this.#wake?.()
  }

  /** Asks at once, and at a short pace then, over the connection that there is: what it lacked may be there any moment. */
  hurry(): void {
    this.#hurryMs = HURRY_MS
    this.#wake?.()
  }

  /** Asks at the usual pace. */
  calm(): void {
    this.#hurryMs = undefined
  }

  /** Whether what it lacked may be there any moment: where all is well, it would have been for a while. */
  get isHurrying(): boolean {
    return this.#hurryMs !== undefined && this.#hurryMs < LONG_MS
  }

  /** Looks at once, and resolves at the verdict on what was asked from now on. */
  async lookAnew(): Promise<void> {
    if (this.#isAsking) await this.verdict()
    const verdict = this.verdict()
    this.look()
    await verdict
  }

  /** Resolves at the next verdict. */
  verdict(): Promise<void> {
    return new Promise((resolve) => {
      this.#heard.push(resolve)
    })
  }

  /** Ends it, and says goodbye to the server; one that is frozen is not waited for. */
  async stop(): Promise<void> {
    this.#isStopped = true
    this.#wake?.()
    const cut = setTimeout(() => this.#client?.connection?.stream?.destroy(), GRACE_MS)
    await this.#running
    await this.#client?.end().catch(ignore)
    clearTimeout(cut)
  }

  async #run(): Promise<void> {
    while (!this.#isStopped) {
      this.#isAsking = true
      await this.#probe()
      this.#isAsking = false
      const heard = this.#heard
      this.#heard = []
      for (const each of heard) each()
      this.#isResting = true
      const restMs = Math.min(REST_MS, this.#hurryMs ?? REST_MS)
      await this.#sleep(restMs)
      this.#isResting = false
      if (!this.#wantsLook) await this.#sleep(Math.max(0, this.#pauseMs() - restMs))
      if (this.#wantsLook) this.#drop()
      this.#wantsLook = false
    }
    for (const each of this.#heard) each()
  }

  #pauseMs(): number {
    const intervalMs = this.#settings.probeIntervalMs * (1 - Math.random() * JITTER)
    const pauseMs = this.#hurryMs
    if (pauseMs === undefined) return intervalMs
    const wasHurrying = this.isHurrying
    this.#hurryMs = 2 * pauseMs < Math.max(intervalMs, LONG_MS) ? 2 * pauseMs : undefined
    if (wasHurrying && !this.isHurrying) this.#listener.onHurried()
    return Math.min(pauseMs, intervalMs)
  }

  /** Asks until there is an answer, or reason enough to say that there is none. Never throws. */
  async #probe(): Promise<void> {
    let triedWithout = false
    let triedAnother = false
    for (let unanswered = 0; !this.#isStopped; ) {
      const wasConnected = this.#client !== undefined
      try {
        const sighting = await withPatience(this.#ask(), this.#settings.probeTimeoutMs)
        if (!this.#isStopped) this.#listener.onSeen(this.#node, sighting)
        return
      } catch (error) {
        this.#drop()
        if (this.#isStopped) return
        if (error instanceof Unanswered) {
          unanswered++
          if (this.#listener.onUnanswered(this.#node, unanswered)) return
        } else if (wasConnected) {
          // A connection that was lost is not death: only a new one, at the next turn of this loop, tells.
          this.#listener.onLost(this.#node)
        } else if (this.#node.loadBalanced && !triedAnother) {
          // Another server may answer under the same address.
          triedAnother = true
        } else if (!triedWithout && this.#node.pool.doWithoutReadOnly(error)) triedWithout = true
        else if (!this.#node.pool.doWithoutSerializable(error)) {
          this.#listener.onFailed(this.#node, failureOf(error), error)
          return
        }
      }
    }
  }

  async #ask(): Promise<Sighting> {
    let client = this.#client
    if (client === undefined) {
      client = await this.#node.pool.ownClient()
      if (this.#isStopped) throw new Error('The watcher was stopped.')
      this.#client = client
      await connected(client)
      client.on('error', () => {
        if (this.#client !== client) return
        this.#listener.onLost(this.#node)
        this.look()
      })
      // Whoever forgets to destroy the database can end all the same.
      client.unref?.()
    }
    const sighting = await this.#settings.probe(client, this.#node.name)
    this.#node.pool.heardReadOnly(client, sighting.isReadOnly)
    // Behind a balanced address each connection is another server's.
    if (this.#node.loadBalanced && this.#client === client) this.#release(client)
    return sighting
  }

  #release(client: OwnClient): void {
    this.#client = undefined
    client.end().catch(ignore)
  }

  #drop(): void {
    const client = this.#client
    this.#client = undefined
    client?.connection?.stream?.destroy()
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

function ignore(): void {}
