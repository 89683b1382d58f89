import type { Client } from 'pg'
import { type Askable, askOn, withoutApplicationSettings } from '../own-statements.ts'
import { clusterError } from './cluster-error.ts'

/** Where a session connects to, and the options that it sets. */
export interface ConnectionTarget {
  host: string
  port: number
  database: string
  /** Whether only the cluster itself uses it. */
  isOwn?: boolean
  /** Command-line options for the server's session, such as `-c synchronous_commit=local`. */
  options?: string
}

/** A hot standby refuses serializable transactions, and they may be the default of its cluster. */
export const NOT_SERIALIZABLE = '-c default_transaction_isolation=repeatable\\ read'

/**
 * One connection, which is made when it is first needed. It neither keeps the process alive nor ends it by an error.
 */
export class LazyConnection {
  readonly #target: ConnectionTarget
  #client: Promise<Client> | undefined
  #last: Promise<unknown> = Promise.resolve()

  constructor(target: ConnectionTarget) {
    this.#target = target
  }

  /** Runs a statement of the caller's and gives its rows. The caller's parsers apply. */
  query<Row>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    return this.#inTurn(async (client) => {
      const { rows } = await client.query(sql, params as unknown[] | undefined)
      return rows as Row[]
    })
  }

  /** Runs a statement of the cluster's own. */
  ask<Row>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    return this.#inTurn((client) => askOn<Row>(client as unknown as Askable, sql, params))
  }

  /** Runs one statement after the other, as pg wants it. */
  #inTurn<T>(run: (client: Client) => Promise<T>): Promise<T> {
    const result = this.#last.then(() => this.#run(run))
    this.#last = result.catch(() => {})
    return result
  }

  async #run<T>(run: (client: Client) => Promise<T>): Promise<T> {
    const client = await this.#connected()
    // The process may end while this connection is idle, but not while a caller waits for an answer.
    refable(client).ref()
    try {
      return await run(client)
    } finally {
      refable(client).unref()
    }
  }

  /** Ends the connection. The next query makes a new one. */
  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined)
    this.#client = undefined
    if (client === undefined) return
    // A caller awaits this, so the process must stay alive until it is done.
    refable(client).ref()
    await client.end().catch(() => {})
  }

  /** Closes a connection whose server may not answer any more. */
  drop(): void {
    this.#client?.then(
      (client) => streamOf(client).destroy(),
      () => {},
    )
    this.#client = undefined
  }

  #connected(): Promise<Client> {
    if (!this.#client) {
      const connecting: Promise<Client> = this.#connect(() => {
        if (this.#client === connecting) this.#client = undefined
      })
      this.#client = connecting
    }
    return this.#client
  }

  async #connect(onEnd: () => void): Promise<Client> {
    try {
      const { default: pg } = await importPg()
      const client = new pg.Client({
        ...this.#target,
        user: 'postgres',
        ssl: false,
        sslnegotiation: 'postgres',
        application_name: 'write-pinning/testing',
        connectionTimeoutMillis: 5_000,
      })
      if (this.#target.isOwn) withoutApplicationSettings(client)
      client.on('error', onEnd)
      client.on('end', onEnd)
      await client.connect()
      refable(client).unref()
      return client
    } catch (error) {
      onEnd()
      throw error
    }
  }
}

async function importPg(): Promise<typeof import('pg')> {
  try {
    return await import('pg')
  } catch (error) {
    throw clusterError('write-pinning/testing needs the package pg: npm install --save-dev pg', error)
  }
}

// pg's pool calls these two methods of a client for `allowExitOnIdle`. pg's types leave them out.
function refable(client: Client): { ref(): void; unref(): void } {
  return client as unknown as { ref(): void; unref(): void }
}

function streamOf(client: Client): { destroy(): void } {
  return (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream
}
