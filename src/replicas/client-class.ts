import { type Lookup, socketsThatLookUp } from './host.ts'
import type { ClientClass, PoolClientLike, PoolLike } from './pool.ts'

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
  const Own = class extends Given {
    constructor(config: object) {
      super(demanded(config, demands))
    }

    override connect(callback?: (error?: Error) => void): unknown {
      const refusal = demands.refusal()
      if (refusal !== undefined) {
        if (callback === undefined) return Promise.reject(refusal)
        process.nextTick(callback, refusal)
        return undefined
      }
      demands.onConnecting(this)
      if (callback === undefined) return super.connect()
      return super.connect((error) => {
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
export function demanded(
  given: object,
  { connectTimeoutMs, lookup }: Pick<ClientDemands, 'connectTimeoutMs' | 'lookup'>,
): object {
  const { connectionTimeoutMillis, stream } = given as ClientConfig
  return {
    ...given,
    password: (given as { password?: unknown }).password, // which is not enumerable
    connectionTimeoutMillis: connectionTimeoutMillis || connectTimeoutMs,
    ...(lookup !== undefined && stream === undefined && { stream: socketsThatLookUp(lookup) }),
  }
}
