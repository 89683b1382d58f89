import { AsyncResource } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import pg from 'pg'
import { warn } from '../diagnostics.ts'
import { ignoredConnection } from './client-config.ts'
import { DriverClient } from './driver-client.ts'
import type { Home } from './driver-home.ts'

type Connected = (...args: unknown[]) => void

/** `pg`'s own pool, as far as something else is done here. */
interface PgPool extends EventEmitter {
  connect(callback?: Connected): unknown
}

const BasePool = pg.Pool as unknown as new (config: object) => PgPool

/**
 * The module `pg` for whoever makes clients or pools by themselves: `Client` and `Pool` are routed over the pool that it is of, everything
 * else is `pg`'s own.
 */
export function driverOf(home: Home): typeof pg {
  let hasTold = false
  class Client extends DriverClient {
    constructor(config?: unknown) {
      super(config, home)
      if (hasTold) return
      const ignored = ignoredConnection(config)
      hasTold = ignored.length > 0
      if (hasTold) tellOfIgnored(home.cluster, ignored)
    }
  }
  class Pool extends BasePool {
    constructor(options?: pg.PoolConfig) {
      super({ ...options, Client })
      // Of an idle client that loses its session it tells by an `error`, which would end the process where nobody listens.
      this.on('error', () => {})
    }

    // Whoever gives a client back has `pg` call the next one who waits, in another request's context. `query()` of a pool waits here, too.
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
  // Where `pg-native` is installed, whoever prefers it is routed all the same. Asked for it, `pg` looks whether it is.
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
