import type { TableName } from './table-names.ts'

/** Something that could be the call of a function, as a text writes it. */
export interface FunctionCall {
  readonly schema: string | undefined
  readonly name: string
  /** Whether it is a key word that is syntax before a parenthesis, unless there is a function of that name. */
  readonly isKeyWord: boolean
  /** Whether it is written like the attribute of an expression, `(x).name`, and is one unless there is a function of that name. */
  readonly isAttribute?: boolean
}

/** What a text does with something that its session has by a name. */
export interface NamedWork {
  readonly does: 'prepare' | 'execute' | 'declare' | 'fetch' | 'forget'
  /** A name as the server has it; undefined for all of them. */
  readonly name: string | undefined
}

/** What a text does to the transaction of its session; undefined where it does not touch that. */
export type TransactionEffect =
  | 'begins' // it leaves one that is open, and has committed nothing
  | 'commits' // it has committed something, and leaves none
  | 'commits-and-begins' // `commit and chain`
  | 'rolls-back' // it leaves none, and has committed nothing that was written before
  | 'unknown' // it cannot be read, and may do any of that
  | undefined

/** What the text of one statement tells, whatever functions there are. */
export interface StatementText {
  /**
   * `'read'`: selects, values, table, show or explain, or a copy to the client, without anything that locks or writes by its syntax.
   * `'session'`: it is about the session or its transaction.
   * `'write'`: everything else, also what cannot be read.
   */
  readonly kind: 'read' | 'locking' | 'session' | 'write'
  /** Whether a read is several statements in one text. */
  readonly isSeveral: boolean
  /** Whether a read is a `copy` that gives its rows to the client alone. */
  readonly isCopy: boolean
  /** Whether it is a read that is only explained. */
  readonly isPlanned: boolean
  /** Whatever could be a call of a function. */
  readonly calls: readonly FunctionCall[]
  /** The names in it, and the operators, that the caller watches. */
  readonly watched: readonly TableName[]
  /**
   * The names that stand where those of relations do, what is written to among them, less those of a `with`. None of what is only
   * explained, or cannot be read.
   */
  readonly relations: readonly TableName[]
  /**
   * Whether anything in it may call an operator or a cast, with a sign or without: `order by` and `in` do, and so does every call, an
   * attribute's too. What changes a table always does.
   */
  readonly operates: boolean
  /** The tables that it writes to; undefined where they are not known for sure. */
  readonly targets: readonly TableName[] | undefined
  /** Whether it is a single insert, update, delete or merge: where the server refuses it, it has no effect. */
  readonly isChange: boolean
  /** Whether it is an update, delete or merge of one table, which of no row has no effect but by what it calls. */
  readonly isRowless: boolean
  /** What it does to the session's transaction. */
  readonly transaction: TransactionEffect
  /** What it does with a prepared statement or a cursor; undefined for nothing. */
  readonly named: NamedWork | undefined
  /** The statement that it prepares, declares, or fills a temporary relation with; undefined where there is none. */
  readonly inner: string | undefined
  /** Whether it is about the session alone, and writes nothing. */
  readonly isVoid: boolean
}

/** What is no single statement that can be read, or may do anything. */
export const SOME_WRITE: StatementText = {
  kind: 'write',
  isSeveral: false,
  isCopy: false,
  isPlanned: false,
  calls: [],
  watched: [],
  relations: [],
  operates: true,
  targets: undefined,
  isChange: false,
  isRowless: false,
  transaction: undefined,
  named: undefined,
  inner: undefined,
  isVoid: false,
}

/**
 * What is only explained: planned, it neither writes nor locks nor reads a table, and of its functions it calls those that are not declared
 * volatile, where what they are given is known.
 */
export const PLANNED: StatementText = { ...SOME_WRITE, kind: 'read', operates: false, isPlanned: true }

/** An insert that is alone, which is all that has been made sure of. */
export const PLAIN_INSERT: StatementText = { ...SOME_WRITE, isChange: true }

/** A text that cannot be read: in doubt it begins or ends a transaction, where it could. */
export function unreadable(sql: string): StatementText {
  return MAY_BEGIN_OR_END.test(sql) ? { ...SOME_WRITE, transaction: 'unknown' } : SOME_WRITE
}

// Nearly every `end` is that of a `case`.
const MAY_BEGIN_OR_END = /\b(?:begin|start|commit|rollback|abort)\b/i
