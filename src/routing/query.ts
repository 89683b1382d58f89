import type { Session } from '../nodes/session.ts'

/** What a query was marked to do, whatever the classifier says. */
export type Mark = 'to-primary' | 'to-replica' | 'or-primary'

/** A query as an edge hands it over: the text that it is routed by, and how it is sent to the node that it is routed to. */
export interface Query<T> {
  readonly text: string
  /** The values of its parameters; undefined where nobody knows them. */
  readonly values: readonly unknown[] | undefined
  /** Has its values stay as they are now, whatever its caller does to them; where that is left out, they do. */
  keepValues?(): void
  readonly mark: Mark | undefined
  /** Ends it, also while it waits for a connection. */
  readonly signal: AbortSignal | undefined
  /** Whether its session can be asked something in the same message: not where its rows come by and by. */
  readonly canBeAskedAround: boolean
  /** Whether it keeps to `timeoutMs` by itself: it goes on longer than what that is the bound of. */
  readonly boundsItself?: boolean
  /** Whether it is a question of this package's own, of which nobody is told. */
  readonly isOwn?: boolean
  /** Whether it may be sent once more: not where something of its answer was handed out. */
  readonly mayBeSentAgain: boolean
  /** Sends it, for what comes back, or only for the first of it; it may be sent again elsewhere where that fails. */
  send(session: Session, timeoutMs: number | undefined): Promise<T>
  /** How many rows it has changed; undefined where that is not told. */
  affectedBy(result: T): number | bigint | undefined
  /** Whether it gave no row, so that a query with the mark `'or-primary'` is sent once more. */
  isEmpty(result: T): boolean
}
