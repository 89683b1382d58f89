import type pg from 'pg'
import type { PgConnection } from './client.ts'
import type { ServerProcesses } from './server-processes.ts'

/** The {@link PrimaryReplicaPool}, as the clients of its driver see it. */
export interface DriverPool {
  readonly cluster: string
  /** Opens the pool. Rejects if it was ended. */
  open(): Promise<void>
  /** Lends a connection. It takes no session before its first statement. Throws if the pool was ended. */
  lend(): PgConnection
  isEnding(): boolean
  /** The type parsers that the pool was given; undefined for `pg`'s own. */
  readonly types: unknown
  /** The primary's configuration, as far as it is known. */
  readonly config: pg.PoolConfig
  readonly processes: ServerProcesses
  /** The clients that are connected. */
  readonly clients: Set<PoolMember>
}

/** A connected client of the driver, as its pool sees it. */
export interface PoolMember {
  /** The pool ends. The client gives up an idle session at once, or a busy one when its queries are over. */
  poolEnds(): void
}
