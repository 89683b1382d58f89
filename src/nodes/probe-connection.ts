import type { Node } from './node.ts'
import { connected, type NodePool, type OwnClient } from './node-pool.ts'
import { Unanswered, withPatience } from './patience.ts'
import type { Probe, Sighting } from './probe.ts'
import { SignsOfLife } from './silence.ts'

/** With which question a node is asked, and how patiently. */
export interface ProbeSettings {
  readonly probe: Probe
  /** How long an answer may take, and for how long it is waited for a connection at a time. */
  readonly probeTimeoutMs: number
  /** How long connecting may take in all, where the node's pool does not say. */
  readonly connectTimeoutMs: number
}

/** Connecting takes longer than it is waited for at a time; it may go on. */
export class NotConnected extends Unanswered {}

/** The connection over which one node is asked: the one that stands, and a new one that is made to take its place. */
export class ProbeConnection {
  readonly #node: Node
  readonly #settings: ProbeSettings
  readonly #onLost: () => void
  readonly #signs: SignsOfLife
  readonly #connecting: Connecting
  #standing: OwnClient | undefined
  /** The one that was just made, and has not answered yet. */
  #newest: OwnClient | undefined
  /** Whether a question went unanswered on a connection that stood: what leads there may be dead, and the pool's connections with it. */
  #isFlowDead = false

  /** `onLost` is called where the one that stands is lost by itself. */
  constructor(node: Node, settings: ProbeSettings, onLost: () => void) {
    this.#node = node
    this.#settings = settings
    this.#onLost = onLost
    this.#signs = new SignsOfLife(node.pool)
    this.#connecting = new Connecting(node.pool, settings)
  }

  /** Whether there is one that stands. */
  get isStanding(): boolean {
    return this.#standing !== undefined
  }

  /** Whether a new one is being made. */
  get isConnecting(): boolean {
    return this.#connecting.isUnderWay
  }

  /** For how long a new one was waited for that has just been given up, in ms; 0 where none was. */
  get wastedMs(): number {
    return this.#connecting.wastedMs
  }

  /** Begins to make a new one, where none is being made. */
  connect(): void {
    this.#connecting.begin()
  }

  /** Asks over the one that stands; where that fails it stands no more. */
  async askStanding(): Promise<Sighting> {
    const client = this.#standing as OwnClient
    this.#signs.listen()
    try {
      return await this.#ask(client)
    } catch (error) {
      if (this.#standing === client) this.drop()
      if (error instanceof Unanswered) this.#isFlowDead = true
      throw error
    }
  }

  /**
   * Asks over a new one, which is kept. The one that stands is kept until the new one answers.
   *
   * @throws {NotConnected} where it is not there yet.
   */
  async askAnew(): Promise<Sighting> {
    const client = await this.#connecting.client()
    this.#newest = client
    try {
      const sighting = await this.#ask(client)
      if (this.#standing !== undefined) this.#release(this.#standing)
      // Behind a balanced address each connection is another server's.
      if (this.#node.loadBalanced) this.#release(client)
      else this.#keep(client)
      return sighting
    } catch (error) {
      destroy(client)
      throw error
    } finally {
      this.#newest = undefined
    }
  }

  /** Closes the one that stands. */
  drop(): void {
    destroy(this.#standing)
    this.#standing = undefined
  }

  /** Says goodbye to the server. */
  async end(): Promise<void> {
    this.#connecting.cut()
    await this.#standing?.end().catch(ignore)
  }

  /** Closes all that there is, without a word. */
  cut(): void {
    this.#connecting.cut()
    destroy(this.#newest)
    destroy(this.#standing)
  }

  async #ask(client: OwnClient): Promise<Sighting> {
    const asking = this.#settings.probe(client, this.#node.name)
    const sighting = await withPatience(asking, this.#settings.probeTimeoutMs)
    this.#node.pool.heardReadOnly(client, sighting.isReadOnly)
    // What is on the way forgot the connections that stood, and lets new ones through: the pool's idle ones lead nowhere.
    if (this.#isFlowDead && this.#signs.isLost) this.#node.pool.recycle()
    this.#isFlowDead = false
    this.#signs.wasWell()
    return sighting
  }

  #keep(client: OwnClient): void {
    this.#standing = client
    client.on('error', () => {
      if (this.#standing !== client) return
      this.drop()
      this.#onLost()
    })
  }

  #release(client: OwnClient): void {
    if (this.#standing === client) this.#standing = undefined
    client.end().catch(ignore)
  }
}

interface Attempt {
  readonly connected: Promise<OwnClient>
  client: OwnClient | undefined
  /** For how long it was waited for so far, of this process's own time. */
  waitedMs: number
}

/** Makes connections to a node, one after the other. That takes a far node several times as long as an answer, so it goes on from one wait to the next. */
class Connecting {
  readonly #pool: NodePool
  readonly #settings: ProbeSettings
  #attempt: Attempt | undefined
  #wastedMs = 0

  constructor(pool: NodePool, settings: ProbeSettings) {
    this.#pool = pool
    this.#settings = settings
  }

  /** Whether a connection is being made. */
  get isUnderWay(): boolean {
    return this.#attempt !== undefined
  }

  /** For how long an attempt was waited for that has just been given up, in ms; 0 where none was. */
  get wastedMs(): number {
    return this.#wastedMs
  }

  /** Begins, where nothing is under way. */
  begin(): Attempt {
    this.#wastedMs = 0
    this.#attempt ??= this.#connect()
    return this.#attempt
  }

  /**
   * Waits for the connection, and hands it out.
   *
   * @throws {NotConnected} where it is not there yet; it goes on being made, or is given up where it has taken too long in all.
   */
  async client(): Promise<OwnClient> {
    const attempt = this.begin()
    const leftMs = this.#patienceMs(attempt) - attempt.waitedMs
    const waitMs = Math.max(1, Math.min(this.#settings.probeTimeoutMs, leftMs))
    try {
      const client = await withPatience(attempt.connected, waitMs)
      this.#attempt = undefined
      return client
    } catch (error) {
      if (!(error instanceof Unanswered)) {
        this.#attempt = undefined
        throw error
      }
      attempt.waitedMs += waitMs
      if (attempt.waitedMs >= this.#patienceMs(attempt)) {
        this.#wastedMs = attempt.waitedMs
        this.cut()
      }
      throw new NotConnected(attempt.waitedMs)
    }
  }

  /** Gives up what is under way. */
  cut(): void {
    destroy(this.#attempt?.client)
    this.#attempt = undefined
  }

  /** As long as in the node's pool. A socket that was not accepted for a while will not be, however long that is. */
  #patienceMs({ client }: Attempt): number {
    const { connectTimeoutMs, probeTimeoutMs } = this.#settings
    const mayTakeMs = this.#pool.connectTimeoutMs
    const isAccepted = client?.connection?.stream?.connecting === false
    return Math.max(probeTimeoutMs, isAccepted ? mayTakeMs : Math.min(mayTakeMs, connectTimeoutMs))
  }

  #connect(): Attempt {
    const connect = async () => {
      const client = await this.#pool.ownClient()
      if (this.#attempt !== attempt) throw new Error('Connecting was given up.')
      attempt.client = client
      try {
        const connecting = connected(client)
        // Does not keep the process alive, however long it takes; nor does the socket of TLS, which takes the place of the first one.
        client.unref?.()
        await connecting
        client.unref?.()
      } catch (error) {
        destroy(client)
        throw error
      }
      return client
    }
    const attempt: Attempt = { connected: Promise.resolve().then(connect), client: undefined, waitedMs: 0 }
    attempt.connected.catch(ignore)
    return attempt
  }
}

function destroy(client: OwnClient | undefined): void {
  client?.connection?.stream?.destroy()
}

function ignore(): void {}
