import { askOn } from '../own-statements.ts'
import type { Node } from './node.ts'
import { connected, type OwnClient } from './node-pool.ts'
import { withinRunningTime } from './running-time.ts'

/** The first row of an answer, and when its question was sent, by `performance.now()`. */
export interface SharedAnswer<Row> {
  readonly row: Row
  readonly askedAtMs: number
}

/**
 * One question to one node's server, over a connection outside the pool that is made when it is first needed. One
 * question is under way at a time. All callers who come meanwhile share the next one.
 *
 * No caller waits for longer than `timeoutMs`. Connecting may take longer, and goes on then: a far server can answer
 * within that time, but connecting to it and asking takes longer. Once connected, the connection is dropped only if a
 * question goes unanswered for that long.
 */
export class SharedQuery<Row> {
  readonly #node: Node
  readonly #sql: string
  readonly #timeoutMs: number
  /** The connection, or the one that is being made. */
  #client: OwnClient | undefined
  #connecting: Promise<OwnClient> | undefined
  #running: Promise<SharedAnswer<Row> | undefined> | undefined
  #next: Promise<SharedAnswer<Row> | undefined> | undefined
  #isStopped = false

  constructor(node: Node, sql: string, timeoutMs: number) {
    this.#node = node
    this.#sql = sql
    this.#timeoutMs = timeoutMs
  }

  /**
   * Gives the answer to a question that is sent after this call, and never to one that was sent before. Undefined if
   * no answer comes in time. Never rejects.
   */
  ask(): Promise<SharedAnswer<Row> | undefined> {
    if (this.#next !== undefined) return this.#next
    if (this.#running === undefined) return this.#start()
    this.#next = this.#running.then(() => {
      this.#next = undefined
      return this.#start()
    })
    return this.#next
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    if (this.#client !== undefined) this.#drop(this.#client)
    await this.#running
  }

  #start(): Promise<SharedAnswer<Row> | undefined> {
    this.#running = this.#ask().finally(() => {
      this.#running = undefined
    })
    return this.#running
  }

  async #ask(): Promise<SharedAnswer<Row> | undefined> {
    if (this.#isStopped || !this.#node.pool.canBeWatched) return undefined
    const wait = { isOver: false }
    try {
      return await withinRunningTime(this.#askServer(wait), this.#timeoutMs)
    } catch {
      wait.isOver = true
      return undefined
    }
  }

  async #askServer(wait: { readonly isOver: boolean }): Promise<SharedAnswer<Row> | undefined> {
    const client =
      this.#connecting !== undefined ? await this.#connecting : (this.#client ?? (await this.#connect()))
    // The caller has given up, and the next caller asks a question of its own.
    if (wait.isOver) return undefined
    const askedAtMs = performance.now()
    try {
      // This has a timeout of its own, because a caller who also waited for the connection may have given up before
      // the answer comes.
      const [row] = await withinRunningTime(askOn<Row>(client, this.#sql), this.#timeoutMs)
      return row && { row, askedAtMs }
    } catch (error) {
      // The next question would wait behind this one.
      this.#drop(client)
      throw error
    }
  }

  #connect(): Promise<OwnClient> {
    this.#connecting = this.#makeClient().finally(() => {
      this.#connecting = undefined
    })
    return this.#connecting
  }

  async #makeClient(): Promise<OwnClient> {
    const { pool } = this.#node
    const client = await pool.ownClient()
    if (this.#isStopped) throw new Error('It was stopped.')
    this.#client = client
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined
    })
    try {
      await withinRunningTime(connected(client), pool.connectTimeoutMs)
    } catch (error) {
      this.#drop(client)
      throw error
    }
    // Does not keep the process alive.
    client.unref?.()
    return client
  }

  #drop(client: OwnClient): void {
    if (this.#client === client) this.#client = undefined
    client.connection?.stream?.destroy()
  }
}
