import { askingClient } from './asked-query.ts'
import { type Lookup, socketsThatLookUp } from './host.ts'
import type { ClientClass, PoolClientLike, PoolLike } from './pool.ts'
import { afterRunningTime } from './running-time.ts'
import { settingClient } from './session-settings.ts'

/** What every client that a node's pool makes must do. */
export interface ClientDemands {
  readonly connectTimeoutMs: number
  readonly lookup: Lookup | undefined
  /** Called with each client when it begins to connect. */
  readonly onConnecting: (client: PoolClientLike) => void
  /** The error with which a client fails at once instead of connecting; undefined if it may connect. */
  readonly refusal: () => Error | undefined
}

/** The part of a client's configuration that is read or filled in here. */
interface ClientConfig {
  readonly connectionTimeoutMillis?: number
  readonly stream?: unknown
}

/**
 * Replaces a pool's client class so that connecting always ends: a socket that is not connected in time is destroyed.
 * The pool's own `connectionTimeoutMillis` stays as it is, because it would also bound the wait in the pool's queue.
 *
 * Gives the class that the pool had, for clients outside the pool; undefined if the pool has none.
 */
export function makeClientsOf(pool: PoolLike, demands: ClientDemands): ClientClass | undefined {
  const Given = pool.Client as ClientClass | undefined
  if (typeof Given !== 'function') return undefined
  const Own = class extends askingClient(settingClient(Given)) {
    readonly #hasOwnTimeout: boolean

    constructor(config: ClientConfig) {
      super(demanded(config, demands))
      this.#hasOwnTimeout = Boolean(config.connectionTimeoutMillis)
    }

    override connect(callback?: (error?: Error) => void): unknown {
      if (callback === undefined) {
        return new Promise((resolve, reject) => {
          this.connect((error) => (error ? reject(error) : resolve(this)))
        })
      }
      const refusal = demands.refusal()
      if (refusal !== undefined) {
        process.nextTick(callback, refusal)
        return undefined
      }
      demands.onConnecting(this)
      // `pg`'s own timer would also fail a client that connected while this process was blocked.
      const stop = this.#hasOwnTimeout
        ? undefined
        : afterRunningTime(demands.connectTimeoutMs, () =>
            this.connection?.stream?.destroy(new Error('timeout expired')),
          )
      return super.connect((error) => {
        stop?.()
        // If this side gave up (there was no password, for example), the server still waits. So the socket is closed.
        if (error) this.connection?.stream?.destroy()
        callback(error)
      })
    }
  }
  pool.Client = Own
  const original = originals.get(Given) ?? Given
  originals.set(Own, original)
  return original
}

/** The class as it was before any change: two dialects may share one pool. */
const originals = new WeakMap<ClientClass, ClientClass>()

/** A client's configuration, with the demands filled in where the caller has set nothing. */
export function demanded(given: object, { lookup }: Pick<ClientDemands, 'lookup'>): object {
  const { stream } = given as ClientConfig
  return {
    ...given,
    password: (given as { password?: unknown }).password, // not enumerable, so the spread leaves it out
    ...(lookup !== undefined && stream === undefined && { stream: socketsThatLookUp(lookup) }),
  }
}
