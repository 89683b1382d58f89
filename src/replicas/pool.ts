/** The part of `pg`'s `Pool` that is used here, so that whatever behaves like one will do. */
export interface PoolLike {
  connect(): Promise<PoolClientLike>
  end(): Promise<void>
  readonly options?: object
  readonly Client?: unknown
  on?(event: 'connect', listener: (client: PoolClientLike) => void): unknown
  on?(event: 'error', listener: (error: Error) => void): unknown
  off?(event: 'connect', listener: (client: PoolClientLike) => void): unknown
  off?(event: 'error', listener: (error: Error) => void): unknown
}

/** The part of `pg`'s pooled client that is used here. */
export interface PoolClientLike {
  release(destroy?: boolean): void
  on?(event: 'error', listener: (error: Error) => void): unknown
}

export function isPool(value: unknown): value is PoolLike {
  if (typeof value !== 'object' || value === null) return false
  return 'connect' in value && typeof value.connect === 'function' && 'end' in value
}

/**
 * Keeps a terminated backend from bringing the process down: `pg` emits `error` on the client, and on the
 * pool for an idle one, and Node.js ends a process over an `error` event that nobody listens to. The query that
 * was running, if any, fails by itself. Gives the function that takes the listeners away.
 */
export function surviveLostConnections(pool: PoolLike): () => void {
  const onConnect = (client: PoolClientLike) => client.on?.('error', ignore)
  pool.on?.('connect', onConnect)
  pool.on?.('error', ignore)
  return () => {
    pool.off?.('connect', onConnect)
    pool.off?.('error', ignore)
  }
}

function ignore(): void {}
