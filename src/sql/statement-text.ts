import type { TableName } from './table-name.ts'

/** Something that could be the call of a function, as a text writes it. */
export interface FunctionCall {
  readonly schema: string | undefined
  readonly name: string
  /** Whether it is a key word that is syntax before a parenthesis, unless there is a function of that name. */
  readonly isKeyWord: boolean
}

/** What the text of one statement tells, whatever functions there are. */
export interface StatementText {
  /**
   * `'read'`: a single select, values, table, show or explain without anything that locks or writes by its syntax.
   * `'session'`: it is about the session or its transaction.
   * `'write'`: everything else, also what cannot be read.
   */
  readonly kind: 'read' | 'locking' | 'session' | 'write'
  /** Whatever could be a call of a function. */
  readonly calls: readonly FunctionCall[]
  /** The names in it, and the operators, that the caller watches. */
  readonly watched: readonly TableName[]
  /** The tables that it writes to; undefined where they are not known for sure. */
  readonly targets: readonly TableName[] | undefined
  /** Whether it is a single insert, update, delete or merge: where the server refuses it, it has no effect. */
  readonly isChange: boolean
  /** Whether it is an update, delete or merge of one table, which of no row has no effect but by what it calls. */
  readonly isRowless: boolean
}

/** What is no single statement that can be read, or may do anything. */
export const SOME_WRITE: StatementText = {
  kind: 'write',
  calls: [],
  watched: [],
  targets: undefined,
  isChange: false,
  isRowless: false,
}

/** What is about the session only. */
export const SESSION_STATEMENT: StatementText = { ...SOME_WRITE, kind: 'session' }

/** What runs a prepared statement. */

/** What is only explained: planned, it neither writes nor locks nor calls anything that is volatile. */
export const PLANNED: StatementText = { ...SOME_WRITE, kind: 'read' }

/** An insert that is alone, which is all that has been made sure of. */
export const PLAIN_INSERT: StatementText = { ...SOME_WRITE, isChange: true }
