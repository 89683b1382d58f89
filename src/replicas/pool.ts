/** The part of `pg`'s `Pool` that is used here, so that whatever behaves like one will do. */
export interface PoolLike {
  connect(): Promise<PoolClientLike>
  end(): Promise<void>
  readonly options?: object
  readonly Client?: unknown
  readonly totalCount?: number
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
  on?(event: 'error', listener: (error: Error) => void): unknown
  on?(event: 'end', listener: () => void): unknown
  off?(event: 'end', listener: () => void): unknown
}

export function isPool(value: unknown): value is PoolLike {
  if (typeof value !== 'object' || value === null) return false
  return 'connect' in value && typeof value.connect === 'function' && 'end' in value
}

/** How long an ended pool's connections may take to close; a frozen server never closes its side. */
const CLOSING_MS = 1_000

/**
 * Keeps a terminated backend from bringing the process down: `pg` emits `error` on the client, and on the
 * pool for an idle one, and Node.js ends a process over an `error` event that nobody listens to. The query that
 * was running, if any, fails by itself.
 *
 * Gives a function to be called once the pool has ended: it waits until its connections are closed, for a second at
 * most, and takes the listeners away when the last one is.
 */
export function surviveLostConnections(pool: PoolLike): () => Promise<void> {
  const clients = new Set<PoolClientLike>()
  let onAllClosed = () => {}
  // Not `connect`: a pool of the caller's may have had connections before.
  const onAcquire = (client: PoolClientLike) => {
    if (client.on === undefined || clients.has(client)) return
    clients.add(client)
    let reason = new Error('Connection terminated unexpectedly')
    client.on('error', (error) => {
      reason = error
    })
    client.on('end', () => {
      lost.set(client, reason)
      clients.delete(client)
      if (clients.size === 0) onAllClosed()
    })
  }
  const stop = () => {
    pool.off?.('acquire', onAcquire)
    pool.off?.('error', ignore)
  }
  pool.on?.('acquire', onAcquire)
  pool.on?.('error', ignore)
  return () =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, CLOSING_MS).unref()
      onAllClosed = () => {
        clearTimeout(timer)
        stop()
        resolve()
      }
      if (clients.size === 0) onAllClosed()
    })
}

/** The clients whose connection has ended, and why. */
const lost = new WeakMap<PoolClientLike, Error>()

/**
 * Waits for `work` as long as the client's connection lasts, and rejects when it ends: a cursor of `pg-cursor`
 * would wait for ever.
 */
export function whileConnected<T>(client: PoolClientLike, work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const onEnd = () => reject(lost.get(client))
    if (lost.has(client)) onEnd()
    client.on?.('end', onEnd)
    work.then(resolve, reject).finally(() => client.off?.('end', onEnd))
  })
}

function ignore(): void {}
