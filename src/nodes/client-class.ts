import { askingClient } from './asked-query.ts'
import { type Lookup, socketsThatLookUp } from './host.ts'
import { afterPatience } from './patience.ts'
import type { ClientClass, PoolClientLike, PoolLike } from './pool.ts'
import { settingClient } from './session-settings.ts'

/** What a node asks of every client that its pool makes. */
export interface ClientDemands {
  readonly connectTimeoutMs: number
  readonly lookup: Lookup | undefined
  /** Told of each client as it begins to connect. */
  readonly onConnecting: (client: PoolClientLike) => void
  /** An error with which a client fails at once, instead of connecting; undefined where it may connect. */
  readonly refusal: () => Error | undefined
}

/** The part of a client's configuration that is set here, where the caller has not. */
interface ClientConfig {
  readonly connectionTimeoutMillis?: number
  readonly stream?: unknown
}

/**
 * Has a pool make its clients so that connecting ends, also where nobody answers: a socket that is not connected in time is
 * given up on. The pool's own `connectionTimeoutMillis`, which would bound the wait in its queue too, stays as it is.
 *
 * Gives the class that the pool had, for clients that are not the pool's; undefined where it cannot be known.
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
      // `pg`'s own timer would also fail what had connected while this process was blocked.
      const stop = this.#hasOwnTimeout
        ? undefined
        : afterPatience(demands.connectTimeoutMs, () =>
            this.connection?.stream?.destroy(new Error('timeout expired')),
          )
      return super.connect((error) => {
        stop?.()
        // Where it was this side that gave up (a password that could not be had), the server would wait on.
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

/** What a class was before: two dialects may have one pool. */
const originals = new WeakMap<ClientClass, ClientClass>()

/** The configuration of a client, with what is demanded and the caller has not said. */
export function demanded(given: object, { lookup }: Pick<ClientDemands, 'lookup'>): object {
  const { stream } = given as ClientConfig
  return {
    ...given,
    password: (given as { password?: unknown }).password, // which is not enumerable
    ...(lookup !== undefined && stream === undefined && { stream: socketsThatLookUp(lookup) }),
  }
}
