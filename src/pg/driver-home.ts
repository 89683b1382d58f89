import type pg from 'pg'
import type { PgConnection } from './client.ts'
import type { ServerProcesses } from './server-processes.ts'

/** The pool that routed clients belong to, as they see it. */
export interface Home {
  readonly cluster: string
  /** Opens the pool. Rejects if it was ended. */
  open(): Promise<void>
  /** Lends a connection, which takes no session before its first statement. Throws if the pool was ended. */
  lend(): PgConnection
  isEnding(): boolean
  /** The type parsers that the pool was given; undefined for `pg`'s own. */
  readonly types: unknown
  /** What is known of the primary's configuration. */
  readonly config: pg.PoolConfig
  readonly processes: ServerProcesses
  /** The clients that are connected. */
  readonly clients: Set<Guest>
}

/** A client that is connected. */
export interface Guest {
  /** The pool ends. An idle session is given up, and what is under way ends first. */
  leaveHome(): void
}
