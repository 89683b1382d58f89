import type { Node } from './node.ts'
import { connected, type NodePool, type OwnClient } from './node-pool.ts'
import { SignsOfLife } from './primary-silence.ts'
import type { Probe, Sighting } from './probe.ts'
import { Unanswered, withinRunningTime } from './running-time.ts'

/** Which question a node is asked, and how long to wait. */
export interface ProbeSettings {
  readonly probe: Probe
  /** How long an answer may take, and how long to wait for a connection at a time, in ms. */
  readonly probeTimeoutMs: number
  /** How long connecting may take in all, in ms, if the node's pool does not say. */
  readonly connectTimeoutMs: number
}

/** The time to wait for a connection is over, but connecting may go on. */
export class NotConnected extends Unanswered {}

/**
 * The connection over which one node is probed. There may be two: the standing one, and a new one that is made to
 * replace it.
 */
export class ProbeConnection {
  readonly #node: Node
  readonly #settings: ProbeSettings
  readonly #onLost: () => void
  readonly #signs: SignsOfLife
  readonly #connecting: Connecting
  #standing: OwnClient | undefined
  /** The new connection, until it has answered. */
  #newest: OwnClient | undefined
  /**
   * Whether a probe went unanswered on the standing connection. The way to the server may be dead, and so the pool's
   * connections too.
   */
  #wentUnanswered = false

  /** `onLost` is called if the standing connection is lost by itself. */
  constructor(node: Node, settings: ProbeSettings, onLost: () => void) {
    this.#node = node
    this.#settings = settings
    this.#onLost = onLost
    this.#signs = new SignsOfLife(node.pool)
    this.#connecting = new Connecting(node.pool, settings)
  }

  /** Whether there is a standing connection. */
  get isStanding(): boolean {
    return this.#standing !== undefined
  }

  /** Whether a new connection is being made. */
  get isConnecting(): boolean {
    return this.#connecting.isUnderWay
  }

  /** How long the last new connection was waited for, in ms, if it was given up; else 0. */
  get wastedMs(): number {
    return this.#connecting.wastedMs
  }

  /** Begins to make a new connection, unless one is being made. */
  connect(): void {
    this.#connecting.begin()
  }

  /** Asks over the standing connection. If that fails, the connection is dropped. */
  async askStanding(): Promise<Sighting> {
    const client = this.#standing as OwnClient
    this.#signs.countBytes()
    try {
      return await this.#ask(client)
    } catch (error) {
      if (this.#standing === client) this.drop()
      if (error instanceof Unanswered) this.#wentUnanswered = true
      throw error
    }
  }

  /**
   * Asks over a new connection, and keeps it. The standing one is kept until the new one answers.
   *
   * @throws {NotConnected} if the new connection is not there yet.
   */
  async askAnew(): Promise<Sighting> {
    const client = await this.#connecting.client()
    this.#newest = client
    try {
      const sighting = await this.#ask(client)
      if (this.#standing !== undefined) this.#release(this.#standing)
      // Behind a load-balanced address, each connection may lead to another server.
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

  /** Closes the standing connection. */
  drop(): void {
    destroy(this.#standing)
    this.#standing = undefined
  }

  /** Ends the standing connection, and tells the server. Gives up a new one. */
  async end(): Promise<void> {
    this.#connecting.cut()
    await this.#standing?.end().catch(ignore)
  }

  /** Closes every connection, and does not tell the server. */
  cut(): void {
    this.#connecting.cut()
    destroy(this.#newest)
    destroy(this.#standing)
  }

  async #ask(client: OwnClient): Promise<Sighting> {
    const asking = this.#settings.probe(client, this.#node.name)
    const sighting = await withinRunningTime(asking, this.#settings.probeTimeoutMs)
    this.#node.pool.heardReadOnly(client, sighting.isReadOnly)
    // A firewall or a NAT has forgotten the open connections, and lets new ones through. So the idle connections of
    // the pool are dead.
    if (this.#wentUnanswered && this.#signs.isSilent) this.#node.pool.recycle()
    this.#wentUnanswered = false
    this.#signs.rememberSessions()
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

/** A connection that is being made. */
interface PendingConnection {
  readonly connected: Promise<OwnClient>
  client: OwnClient | undefined
  /** How long this has been waited for so far, in this process's running time. */
  waitedMs: number
}

/**
 * Makes connections to a node, one after the other. Connecting to a far node takes several times as long as an
 * answer, so it goes on from one wait to the next.
 */
class Connecting {
  readonly #pool: NodePool
  readonly #settings: ProbeSettings
  #pending: PendingConnection | undefined
  #wastedMs = 0

  constructor(pool: NodePool, settings: ProbeSettings) {
    this.#pool = pool
    this.#settings = settings
  }

  /** Whether a connection is being made. */
  get isUnderWay(): boolean {
    return this.#pending !== undefined
  }

  /** How long the last connection was waited for, in ms, if it was given up; else 0. */
  get wastedMs(): number {
    return this.#wastedMs
  }

  /** Begins to connect, unless that is under way. */
  begin(): PendingConnection {
    this.#wastedMs = 0
    this.#pending ??= this.#connect()
    return this.#pending
  }

  /**
   * Waits for the connection, and hands it out.
   *
   * @throws {NotConnected} if it is not there yet. Connecting then goes on, or is given up if it has taken too long
   * in all.
   */
  async client(): Promise<OwnClient> {
    const pending = this.begin()
    const leftMs = this.#mayTakeMs(pending) - pending.waitedMs
    const waitMs = Math.max(1, Math.min(this.#settings.probeTimeoutMs, leftMs))
    try {
      const client = await withinRunningTime(pending.connected, waitMs)
      this.#pending = undefined
      return client
    } catch (error) {
      if (!(error instanceof Unanswered)) {
        this.#pending = undefined
        throw error
      }
      pending.waitedMs += waitMs
      if (pending.waitedMs >= this.#mayTakeMs(pending)) {
        this.#wastedMs = pending.waitedMs
        this.cut()
      }
      throw new NotConnected(pending.waitedMs)
    }
  }

  /** Gives up the connection that is being made. */
  cut(): void {
    destroy(this.#pending?.client)
    this.#pending = undefined
  }

  /**
   * How long connecting may take: as long as in the node's pool. But if the server has not accepted the socket after
   * `connectTimeoutMs`, it never will.
   */
  #mayTakeMs({ client }: PendingConnection): number {
    const { connectTimeoutMs, probeTimeoutMs } = this.#settings
    const poolTakesMs = this.#pool.connectTimeoutMs
    const isAccepted = client?.connection?.stream?.connecting === false
    return Math.max(probeTimeoutMs, isAccepted ? poolTakesMs : Math.min(poolTakesMs, connectTimeoutMs))
  }

  #connect(): PendingConnection {
    const connect = async () => {
      const client = await this.#pool.ownClient()
      if (this.#pending !== pending) throw new Error('Connecting was given up.')
      pending.client = client
      try {
        const connecting = connected(client)
        // Does not keep the process alive, however long it takes. Twice, because TLS puts a socket of its own in
        // place of the first one.
        client.unref?.()
        await connecting
        client.unref?.()
      } catch (error) {
        destroy(client)
        throw error
      }
      return client
    }
    const pending: PendingConnection = {
      connected: Promise.resolve().then(connect),
      client: undefined,
      waitedMs: 0,
    }
    pending.connected.catch(ignore)
    return pending
  }
}

function destroy(client: OwnClient | undefined): void {
  client?.connection?.stream?.destroy()
}

function ignore(): void {}
