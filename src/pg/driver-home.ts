import type pg from 'pg'
import type { PgConnection } from './client.ts'
import type { ServerProcesses } from './server-processes.ts'

/** The pool that routed clients belong to, as they see it. */
export interface Home {
  /** The cluster's name. */
  readonly cluster: string
  /** Opens it; rejects once it was ended. */
  open(): Promise<void>
  /** Lends a connection, which takes no session before its first statement; throws once the pool was ended. */
  lend(): PgConnection
  isEnding(): boolean
  /** The parsers of values that it was given; undefined for `pg`'s own. */
  readonly types: unknown
  /** What is known of the primary's configuration. */
  readonly config: pg.PoolConfig
  readonly processes: ServerProcesses
  /** The clients that are connected. */
  readonly clients: Set<Guest>
}

/** A client that is connected. */
export interface Guest {
  /** Its pool ends: an idle session is given up; what is under way ends first. */
  leaveHome(): void
}
