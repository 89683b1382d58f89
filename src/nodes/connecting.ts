import { connected, type NodePool, type OwnClient } from './node-pool.ts'
import { Unanswered, withPatience } from './patience.ts'

/** How long connecting may take. */
export interface ConnectingSettings {
  /** For how long it is waited at a time. */
  readonly probeTimeoutMs: number
  /** In all, where the pool does not say. */
  readonly connectTimeoutMs: number
}

/** Connecting takes longer than it is waited for at a time; it may go on. */
export class NotConnected extends Unanswered {}

interface Attempt {
  readonly connected: Promise<OwnClient>
  client: OwnClient | undefined
  /** For how long it was waited for so far, of this process's own time. */
  waitedMs: number
}

/** Makes connections to a node, one after the other. That takes a far node several times as long as an answer, so it goes on from one wait to the next. */
export class Connecting {
  readonly #pool: NodePool
  readonly #settings: ConnectingSettings
  #attempt: Attempt | undefined
  #wastedMs = 0

  constructor(pool: NodePool, settings: ConnectingSettings) {
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
    this.#attempt?.client?.connection?.stream?.destroy()
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
        client.connection?.stream?.destroy()
        throw error
      }
      return client
    }
    const attempt: Attempt = { connected: Promise.resolve().then(connect), client: undefined, waitedMs: 0 }
    attempt.connected.catch(ignore)
    return attempt
  }
}

function ignore(): void {}
