import type { TableName } from './table-names.ts'

/** A place in a text that could be a call of a function, as it is written there. */
export interface FunctionCall {
  readonly schema: string | undefined
  readonly name: string
  /** Whether it is a key word that is syntax before a parenthesis, unless there is a function of that name. */
  readonly isKeyWord: boolean
  /**
   * Whether it is written like the attribute of an expression, `(x).name`. It is one, unless there is a function of
   * that name.
   */
  readonly isAttribute?: boolean
}

/** What a text does with a prepared statement or a cursor. The session knows it by its name. */
export interface NamedWork {
  readonly does: 'prepare' | 'execute' | 'declare' | 'fetch' | 'forget'
  /** The name as the server has it; undefined for all names. */
  readonly name: string | undefined
}

/** What a text does to the transaction of its session; undefined for nothing. */
export type TransactionEffect =
  | 'begins' // it leaves a transaction open, and has committed nothing
  | 'commits' // it has committed something, and leaves no transaction open
  | 'commits-and-begins' // `commit and chain`
  | 'rolls-back' // it leaves no transaction open, and has committed nothing that was written before
  | 'unknown' // it cannot be read, and may do any of these
  | undefined

/** What the text of a statement shows by itself, without a catalog. */
export interface StatementText {
  /**
   * - `'read'`: select, values, table, show or explain, or a copy to the client. Nothing locks or writes by its
   *   syntax.
   * - `'locking'`: the same, but it locks rows.
   * - `'session'`: it is about the session or its transaction.
   * - `'write'`: everything else, and each text that cannot be read.
   */
  readonly kind: 'read' | 'locking' | 'session' | 'write'
  /** Whether a read is several statements in one text. */
  readonly isSeveral: boolean
  /** Whether a read is a `copy` that gives its rows to the client only. */
  readonly isCopy: boolean
  /** Whether it is an `explain` that only plans its statement, and does not run it. */
  readonly isOnlyExplained: boolean
  /** Everything that could be a call of a function. */
  readonly calls: readonly FunctionCall[]
  /** The names and operators in it that are in the caller's `watch`. */
  readonly watched: readonly TableName[]
  /**
   * The names that stand in the place of a relation, including the tables that it writes to, without common tables.
   * Empty if the text is only explained, or cannot be read.
   */
  readonly relations: readonly TableName[]
  /**
   * Whether it may run an operator or a cast. The text need not show a sign of one: `order by`, `in`, every call
   * (also one that is written like an attribute) and every change of a table may.
   */
  readonly operates: boolean
  /** The tables that it writes to; undefined if they are not known for sure. */
  readonly targets: readonly TableName[] | undefined
  /** Whether it is a single insert, update, delete or merge: it has no effect if the server refuses it. */
  readonly isChange: boolean
  /**
   * Whether it is an update, delete or merge of one table. Without affected rows it has no effect, except through
   * functions that it calls.
   */
  readonly changesOneTable: boolean
  /** Its effect on the session's transaction. */
  readonly transaction: TransactionEffect
  /** What it does with a prepared statement or a cursor; undefined for nothing. */
  readonly named: NamedWork | undefined
  /**
   * The inner statement: the one that it prepares, declares a cursor for, or fills a temporary relation with.
   * Undefined for none.
   */
  readonly inner: string | undefined
  /** Whether it is about the session alone: it writes nothing, and runs nothing that writes. */
  readonly isHarmlessSession: boolean
}

/** A text that may do anything, or that is not one readable statement. */
export const SOME_WRITE: StatementText = {
  kind: 'write',
  isSeveral: false,
  isCopy: false,
  isOnlyExplained: false,
  calls: [],
  watched: [],
  relations: [],
  operates: true,
  targets: undefined,
  isChange: false,
  changesOneTable: false,
  transaction: undefined,
  named: undefined,
  inner: undefined,
  isHarmlessSession: false,
}

/**
 * A statement that is only explained. It is planned, so it writes nothing, locks no row and reads no table. But it
 * calls its functions that are not declared volatile, if their arguments are known.
 */
export const ONLY_EXPLAINED: StatementText = {
  ...SOME_WRITE,
  kind: 'read',
  operates: false,
  isOnlyExplained: true,
}

/** An insert that is alone in its text, and was not read any further. */
export const PLAIN_INSERT: StatementText = { ...SOME_WRITE, isChange: true }

/** A text that cannot be read. It may begin or end a transaction if it has a word that can. */
export function unreadable(sql: string): StatementText {
  return MAY_BEGIN_OR_END.test(sql) ? { ...SOME_WRITE, transaction: 'unknown' } : SOME_WRITE
}

// Not `end`: nearly every `end` is that of a `case`.
const MAY_BEGIN_OR_END = /\b(?:begin|start|commit|rollback|abort)\b/i
