import type { Node } from './node.ts'
import { connected, type OwnClient } from './node-pool.ts'
import { withPatience } from './patience.ts'

/** The first row of an answer, and when its question was sent, by `performance.now()`. */
export interface SharedAnswer<Row> {
  readonly row: Row
  readonly askedAtMs: number
}

/**
 * One question to the server of one node, over a connection of its own that is made when it is first needed. However many
 * wait for an answer, one is under way at a time, and the next one serves all who came meanwhile.
 */
export class SharedQuery<Row> {
  readonly #node: Node
  readonly #sql: string
  readonly #timeoutMs: number
  #client: OwnClient | undefined
  #running: Promise<SharedAnswer<Row> | undefined> | undefined
  #next: Promise<SharedAnswer<Row> | undefined> | undefined
  #isStopped = false

  constructor(node: Node, sql: string, timeoutMs: number) {
    this.#node = node
    this.#sql = sql
    this.#timeoutMs = timeoutMs
  }

  /**
   * An answer to the question as it is asked from now on, and never to one that was asked before; undefined where it cannot be
   * had in time. Never rejects.
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
    this.#drop()
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
    try {
      return await withPatience(this.#askServer(), this.#timeoutMs)
    } catch {
      this.#drop()
      return undefined
    }
  }

  async #askServer(): Promise<SharedAnswer<Row> | undefined> {
    const client = this.#client ?? (await this.#connect())
    const askedAtMs = performance.now()
    const [row] = (await client.query<Row>(this.#sql)).rows
    return row && { row, askedAtMs }
  }

  async #connect(): Promise<OwnClient> {
    const client = await this.#node.pool.ownClient()
    if (this.#isStopped) throw new Error('It was stopped.')
    this.#client = client
    client.on('error', () => {
      if (this.#client === client) this.#client = undefined
    })
    await connected(client)
    // Whoever forgets to destroy the database can end all the same.
    client.unref?.()
    return client
  }

  #drop(): void {
    const client = this.#client
    this.#client = undefined
    client?.connection?.stream?.destroy()
  }
}
