/**
 * A guide to the room `pg`. `PrimaryReplicaPool` (`pool.ts`) is a `pg.Pool` over all nodes. It has two kinds of
 * clients:
 *
 * - `pool.connect()` gives a `RoutedClient` (`client.ts`). It has one `PgConnection` until it is released. That finds
 *   the node of each statement.
 * - `pool.driver` (this file) is the module `pg` with another `Client`: `DriverClient` (`driver-client.ts`).
 *   Sequelize and the like make such clients by themselves. Each queues its statements (`client-queue.ts`,
 *   `queued-query.ts`), and borrows a `PgConnection` for each of them (`borrowed-connection.ts`).
 *
 * Both send a text or a configuration as a `PgStatement` (`statement.ts`), and a cursor, a stream or a COPY as a
 * `SubmittedQuery` (`submitted.ts`, with `repeatable-connection.ts`). The small interfaces between these files:
 *
 * | interface | what it is | who implements it |
 * |---|---|---|
 * | `Lender` (`client.ts`) | takes a `RoutedClient` back | the pool |
 * | `DriverPool` (`driver-pool.ts`) | the pool, as a `DriverClient` sees it | the pool |
 * | `PoolMember` (`driver-pool.ts`) | a client that must know when the pool ends | `DriverClient` |
 * | `SessionListener` (`borrowed-connection.ts`) | gets the events of the borrowed session | `DriverClient` |
 * | `CancellableClient` (`server-processes.ts`) | a client with a session, whose query can be cancelled | `DriverClient` |
 * | `CancellingClient` (`server-processes.ts`) | what the client that cancels has set | `BorrowedConnection`, `PgConnection` |
 */

import { AsyncResource } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import pg from 'pg'
import { warn } from '../diagnostics.ts'
import { ignoredConnection } from './client-config.ts'
import { DriverClient } from './driver-client.ts'
import type { DriverPool } from './driver-pool.ts'

type Connected = (...args: unknown[]) => void

/** The part of `pg`'s own pool that is changed here. */
interface PgPool extends EventEmitter {
  connect(callback?: Connected): unknown
}

const BasePool = pg.Pool as unknown as new (config: object) => PgPool

/**
 * The module `pg` for libraries that make clients or pools by themselves. Its `Client` and `Pool` send their queries
 * over this pool. Everything else is `pg`'s own.
 */
export function driverOf(pool: DriverPool): typeof pg {
  let hasTold = false
  class Client extends DriverClient {
    constructor(config?: unknown) {
      super(config, pool)
      if (hasTold) return
      const ignored = ignoredConnection(config)
      hasTold = ignored.length > 0
      if (hasTold) tellOfIgnored(pool.cluster, ignored)
    }
  }
  class Pool extends BasePool {
    constructor(options?: pg.PoolConfig) {
      super({ ...options, Client })
      // The pool emits `error` if an idle client loses its session. Without a listener that would end the process.
      this.on('error', () => {})
    }

    // When a client is given back, `pg` calls the next waiting caller in the context of another request. A pool's
    // `query()` waits here, too.
    override connect(callback?: Connected): unknown {
      return super.connect(callback && AsyncResource.bind(callback))
    }
  }
  const driver = Object.create(Object.getPrototypeOf(pg)) as typeof pg
  const { native: _native, ...own } = Object.getOwnPropertyDescriptors(pg) as PropertyDescriptorMap
  Object.defineProperties(driver, own)
  const replaced = { Client: { value: Client }, Pool: { value: Pool } }
  for (const [name, { value }] of Object.entries(replaced)) {
    Object.defineProperty(driver, name, { value, configurable: true, enumerable: true, writable: true })
  }
  // If `pg-native` is installed, code that prefers it gets this driver. `pg` looks for it only when `native` is read,
  // so this does as well.
  Object.defineProperty(driver, 'native', {
    configurable: true,
    enumerable: false,
    get: () => (pg.native === null ? null : driver),
  })
  return driver
}

function tellOfIgnored(cluster: string, ignored: readonly string[]): void {
  warn(
    'WRITE_PINNING_CONNECTION_IGNORED',
    `A client of the driver of cluster '${cluster}' was told where to connect (${ignored.join(', ')}). That is ignored: the nodes of the ` +
      "PrimaryReplicaPool say where. Take it out of the library's configuration.",
  )
}
