/** The part of `pg`'s `Pool` that is used here. Anything that behaves like one will do. */
export interface PoolLike {
  connect(): Promise<PoolClientLike>
  end(): Promise<void>
  readonly options?: object
  Client?: unknown
  readonly totalCount?: number
  readonly waitingCount?: number
  on?(event: 'acquire', listener: (client: PoolClientLike) => void): unknown
  on?(event: 'error', listener: (error: Error) => void): unknown
  emit?(event: 'error', error: Error, client: PoolClientLike): unknown
  off?(event: 'acquire', listener: (client: PoolClientLike) => void): unknown
  off?(event: 'error', listener: (error: Error) => void): unknown
}

/** The part of `pg`'s pooled client that is used here. */
export interface PoolClientLike {
  release(destroy?: boolean): void
  readonly connectionParameters?: { readonly options?: string }
  readonly connection?: {
    readonly stream?: {
      destroy(error?: Error): void
      readonly remoteAddress?: string
      readonly bytesRead?: number
    }
    once?(event: 'readyForQuery' | 'end', listener: () => void): unknown
    off?(event: 'readyForQuery' | 'end', listener: () => void): unknown
  }
  /** The server sends it when the session begins. */
  readonly processID?: number | null
  query(...args: readonly unknown[]): unknown
  end?(): unknown
  /** Whether everything that was sent has been answered. */
  readonly readyForQuery?: boolean
  /** Whether it sends statements before the earlier ones are answered. */
  readonly pipeline?: boolean
  getTransactionStatus?(): string | null
  on?(event: 'error', listener: (error: Error) => void): unknown
  on?(event: 'end', listener: () => void): unknown
  off?(event: 'end', listener: () => void): unknown
}

export function isPool(value: unknown): value is PoolLike {
  if (typeof value !== 'object' || value === null) return false
  return 'connect' in value && typeof value.connect === 'function' && 'end' in value
}

/** The constructor of a pool's clients. */
export type ClientClass = new (
  config: object,
) => PoolClientLike & {
  connect(callback?: (error?: Error) => void): unknown
}

/** The clients whose connection has ended, with the error that ended it. */
export const lostClients = new WeakMap<PoolClientLike, Error>()

/**
 * Waits for `work`, and rejects if the client's connection ends first. Without this, a cursor of `pg-cursor` would
 * wait for ever.
 */
export function whileConnected<T>(client: PoolClientLike, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onEnd = () => reject(lostClients.get(client))
    if (lostClients.has(client)) onEnd()
    client.on?.('end', onEnd)
    work.then(resolve, reject).finally(() => client.off?.('end', onEnd))
  })
}
