import type { PostgresPool } from 'kysely'
import type { Node } from '../replicas/node.ts'
import { type PoolClientLike, type PoolLike, surviveLostConnections } from '../replicas/pool.ts'
import { ReadOnlySessions } from '../replicas/read-only.ts'

/** The node's pool as Kysely's driver sees it; it remembers the client that was asked for last. */
export class NodePool {
  readonly #node: Node
  readonly #isReadOnly: boolean
  #opened: Promise<PostgresPool> | undefined
  #lastClient: Promise<PoolClientLike> | undefined
  #pool: PoolLike | undefined
  #readOnly: ReadOnlySessions | undefined

  constructor(node: Node, isReadOnly: boolean) {
    this.#node = node
    this.#isReadOnly = isReadOnly
  }

  /** Opens the pool once; after a failure the next call tries again, as Kysely does with `init()`. */
  open(): Promise<PostgresPool> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  takeLastClient(): Promise<PoolClientLike> | undefined {
    const client = this.#lastClient
    this.#lastClient = undefined
    return client
  }

  /**
   * Tells the pool's listeners of a session that the server has ended. `pg` would, had the client been given back
   * before its connection closed; but then the next query could get it.
   */
  reportLoss(client: PoolClientLike): void {
    this.#pool?.emit?.('error', new Error('Connection terminated unexpectedly'), client)
  }

  /** Whether connecting failed because of the read-only option, which is then done without. */
  doWithoutReadOnly(error: unknown): boolean {
    return this.#readOnly?.doWithout(error) === true
  }

  /** A client that is not the pool's, and that nobody has to wait long for. */
  async ownClient(): Promise<OwnClient> {
    await this.open()
    const options = (this.#pool?.options ?? {}) as { password?: unknown }
    const Client = this.#pool?.Client as (new (config: object) => OwnClient) | undefined
    if (Client === undefined) throw new Error('This pool cannot make clients of its own.')
    const client = new Client({
      ...options,
      password: options.password, // which is not enumerable
      connectionTimeoutMillis: OWN_CLIENT_TIMEOUT_MS,
      query_timeout: OWN_CLIENT_TIMEOUT_MS,
      application_name: 'write-pinning',
    })
    client.on('error', ignore)
    return client
  }

  async #open(): Promise<PostgresPool> {
    const pool: PoolLike = await this.#node.openPool()
    this.#pool = pool
    const readOnly = this.#isReadOnly ? new ReadOnlySessions(this.#node.name, pool) : undefined
    this.#readOnly = readOnly
    const connect = readOnly?.hasOlderConnections ? () => readOnly.connect() : () => pool.connect()
    const connectionsClosed = surviveLostConnections(pool)
    const observed: PoolLike = {
      Client: pool.Client,
      options: pool.options ?? {},
      connect: () => {
        this.#lastClient = connect()
        return this.#lastClient
      },
      end: async () => {
        try {
          await pool.end()
        } finally {
          await connectionsClosed()
        }
      },
    }
    return observed as PostgresPool
  }
}

/** The part of `pg`'s `Client` that is used here. */
export interface OwnClient {
  readonly connection?: { readonly stream?: { destroy(): void } }
  connect(): Promise<unknown>
  query<Row>(sql: string): Promise<{ rows: Row[] }>
  end(): Promise<void>
  on(event: 'error', listener: () => void): unknown
}

const OWN_CLIENT_TIMEOUT_MS = 5_000

function ignore(): void {}
