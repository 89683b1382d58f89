import type pg from 'pg'
import type { PrimaryReplicaPool } from 'write-pinning/pg'
import type { PostgresCluster } from 'write-pinning/testing'

/**
 * A library that talks to PostgreSQL, as the contract drives it. An adapter does everything in the library's own way; what
 * the library cannot do is left out, and its tests are then not run.
 */
export interface Client {
  readonly name: string
  /** What it can do beside statements and transactions. */
  readonly has: ReadonlySet<Ability>
  open(cluster: PostgresCluster, options?: Options): Promise<OpenClient>
}

export type Ability =
  | 'connection' // one connection for several statements, without a transaction
  | 'read only' // transactions that say so as they begin
  | 'stream' // rows one by one
  | 'named' // statements that the server keeps under a name
  | 'mark' // marks on one statement
  | 'lend' // the client of `pg` itself
  | 'late' // clients of its own pool, which hold no session between two statements
  | 'lazy' // queries that are sent once somebody awaits them

/** The options of the pool, which Kysely's dialect has as well. */
export type Options = Partial<ConstructorParameters<typeof PrimaryReplicaPool>[0]>

export type Mark = 'toPrimary' | 'toReplica' | 'orPrimary'

/** What one can say to a database: over the library as such, on one connection, or in a transaction. */
export interface Statements {
  /** The names of all items, in the order of their ids. */
  names(): Promise<string[]>
  add(name: string): Promise<unknown>
  /** Gives how many items had that name. */
  rename(from: string, to: string): Promise<number>
  /** Sends a text as it is, with values for its `$1`, `$2`, …. */
  run(text: string, values?: readonly unknown[]): Promise<Row[]>
}

// biome-ignore lint/suspicious/noExplicitAny: the tests know what they asked for.
export type Row = Record<string, any>

export interface OpenClient extends Statements {
  /** The pool, or the dialect: what an operator holds. */
  readonly control: Control
  transaction<T>(work: (inside: Statements) => Promise<T>): Promise<T>
  /** Ends it, and every connection of it. */
  close(): Promise<void>

  // Each of these is there where `has` says so.

  connection<T>(work: (on: Statements) => Promise<T>): Promise<T>
  readOnlyTransaction<T>(work: (inside: Statements) => Promise<T>): Promise<T>
  /** The rows of a text, of which a few are fetched at a time. */
  stream(text: string): AsyncIterable<Row>
  /** The names of the items that are called so, by a statement with a name. */
  named(name: string): Promise<string[]>
  marked(mark: Mark, text: string): Promise<Row[]>
  lend<T>(work: (client: pg.PoolClient) => Promise<T>): Promise<T>
  /** The items, by a query that is sent once somebody awaits it. */
  lazy(): PromiseLike<{ name: string }[]>
}

/** What an operator has, of the pool and of the dialect. */
export type Control = Pick<
  PrimaryReplicaPool,
  'ready' | 'status' | 'drain' | 'resume' | 'setMode' | 'setReplicaShare'
>

/** Whose connections the tests can tell from others. */
export const APPLICATION = 'clients'

/** The nodes of a cluster, as options. */
export function nodesOf({ primary, replicas }: PostgresCluster) {
  const poolOf = ({ connectionString }: { connectionString: string }) => ({
    connectionString,
    application_name: APPLICATION,
  })
  return { primary: poolOf(primary), replicas: replicas.map(poolOf) }
}

/** Takes the place of what a library does not have. */
export function missing(): never {
  throw new Error('the library has no such thing')
}
