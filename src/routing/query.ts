import type { Session } from '../nodes/session.ts'

/** What a query was marked to do, whatever the classifier says. */
export type Mark = 'to-primary' | 'to-replica' | 'or-primary'

/** A query as an edge hands it over: the text by which it is routed, and how to send it to a node. */
export interface Query<T> {
  readonly text: string
  /** The values of its parameters; undefined if unknown. */
  readonly values: readonly unknown[] | undefined
  /**
   * Keeps the values as they are now, whatever the caller does to them later. Without this method, they never change.
   */
  keepValues?(): void
  readonly mark: Mark | undefined
  /** Ends the query, even while it waits for a connection. */
  readonly signal: AbortSignal | undefined
  /**
   * Whether a question can be sent to its session in the same message, before or after it. Not if its rows come bit by
   * bit.
   */
  readonly allowsQuestions: boolean
  /** Whether the query applies `timeoutMs` itself: only its first answer must come in time, and the query goes on. */
  readonly appliesTimeout?: boolean
  /** Whether it is this package's own question. Then no route event tells of it. */
  readonly isOwn?: boolean
  /** Whether it may be sent once more. Not if a part of its answer was handed out. */
  readonly mayBeSentAgain: boolean
  /**
   * Sends the query. Resolves with its answer, or with the first part of it. If that fails, the query may be sent again
   * to another node. `timeoutMs` is the limit for that read, in ms; undefined for none.
   */
  send(session: Session, timeoutMs: number | undefined): Promise<T>
  /** How many rows it has changed; undefined if unknown. */
  affectedBy(result: T): number | bigint | undefined
  /** Whether it gave no row. Then a query with the mark `'or-primary'` is sent once more. */
  isEmpty(result: T): boolean
}
