import { warn } from '../diagnostics.ts'
import type { PoolClientLike, PoolLike } from './pool.ts'

/**
 * A start-up option, and never a `SET`, which a pooler in between would leak to other clients
 * (https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-DEFAULT-TRANSACTION-READ-ONLY).
 */
const READ_ONLY = '-c default_transaction_read_only=on'

/** What `pg` makes its connections of. */
interface ConnectionOptions {
  options?: string | undefined
  connectionString?: string | undefined
}

/**
 * Sees to it that the sessions of a replica's pool are read-only, also where the server is not one: a replica that is the
 * primary itself (local development), or that has just been promoted.
 */
export class ReadOnlySessions {
  readonly #node: string
  readonly #pool: PoolLike
  readonly #options: ConnectionOptions
  readonly #before: ConnectionOptions

  constructor(node: string, pool: PoolLike) {
    this.#node = node
    this.#pool = pool
    this.#options = (pool.options ?? {}) as ConnectionOptions
    this.#before = { options: this.#options.options, connectionString: this.#options.connectionString }
    this.#demand()
  }

  /** A client of the pool whose session is read-only; those that were connected before are let go. */
  async connect(): Promise<PoolClientLike> {
    for (;;) {
      const client = await this.#pool.connect()
      if (this.#isReadOnly(client)) return client
      client.release(true)
    }
  }

  /** Whether the pool holds connections that were opened before their options were set. */
  get hasOlderConnections(): boolean {
    return (this.#pool.totalCount ?? 0) > 0
  }

  /**
   * Does without, where a pooler refuses the start-up option (08P01): its sessions are read-only where the server is a
   * hot standby, and nowhere else. True where that was why connecting failed, so that it is worth another try.
   */
  doWithout(error: unknown): boolean {
    if (typeof error !== 'object' || error === null || !('code' in error) || error.code !== '08P01')
      return false
    if (
      this.#options.options === this.#before.options &&
      this.#options.connectionString === this.#before.connectionString
    )
      return false
    this.#restore()
    warn(
      'WRITE_PINNING_NOT_READ_ONLY',
      `The pooler before '${this.#node}' refuses the start-up parameter \`options\`, so its sessions are not made read-only: ` +
        'should that node be promoted, they could write. (PgBouncer: `ignore_startup_parameters = options`.)',
    )
    return true
  }

  #demand(): void {
    const { options, connectionString } = this.#before
    // What a connection string says of its options wins over the configuration's, so it is said there as well.
    const inString = connectionString === undefined ? null : OPTIONS_IN_STRING.exec(connectionString)
    if (connectionString !== undefined && inString !== null) {
      const merged = encodeURIComponent(
        `${READ_ONLY} ${decodeURIComponent((inString[2] as string).replaceAll('+', ' '))}`,
      )
      this.#options.connectionString = connectionString.replace(OPTIONS_IN_STRING, `$1${merged}`)
    }
    this.#options.options = [READ_ONLY, options ?? process.env.PGOPTIONS ?? ''].join(' ').trim()
  }

  #restore(): void {
    this.#options.options = this.#before.options
    this.#options.connectionString = this.#before.connectionString
  }

  #isReadOnly(client: PoolClientLike): boolean {
    const { connectionParameters } = client
    return connectionParameters === undefined || connectionParameters.options?.includes(READ_ONLY) === true
  }
}

const OPTIONS_IN_STRING = /([?&]options=)([^&#]*)/
