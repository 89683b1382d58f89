import type { Cause } from './cause.ts'
import type { SettingChange } from './setting-changes.ts'
import type { FunctionCall, NamedWork, TransactionEffect } from './statement-text.ts'
import type { TableName } from './table-names.ts'
import type { Opens } from './transaction-modes.ts'

/** What a statement demands and does, as far as routing cares. */
export interface Statement {
  /** `'read'`: any node that is fresh enough will do. The others go to the primary, and say why. */
  readonly kind: 'read' | 'locking' | 'primary-table' | 'session' | 'function' | 'write'
  /** Whether it counts as a write once it took effect. */
  readonly countsAsWrite: boolean
  /** Whether it has no effect where it affects no row: an update, delete or merge of a table that is known to be plain. */
  readonly isRowless: boolean
  /** Whether it has no effect where the server refuses it; other texts may have committed some of their work. */
  readonly isAllOrNothing: boolean
  /** Whether it may change the schema, and what it may change there. */
  readonly defines: Definition
  /**
   * Whether it calls functions which may have left something in the session even where the statement was refused; PostgreSQL's own that a
   * read may call leave nothing.
   */
  readonly hasCalls: boolean
  /** What keeps it from a replica, where a function or a relation does. */
  readonly blocker: Blocker | undefined
  /** Whether nobody knows what that does: the catalog may be asked first. */
  readonly isUnknown: boolean
  /** The function that nobody knows; undefined where all are known. */
  readonly unknownCall: FunctionCall | undefined
  /** The relation that nobody knows; undefined where all are known. */
  readonly unknownRelation: TableName | undefined
  /** Whether it may have written something, whether that counts or not: an unpinned table, what a trigger does. */
  readonly mayWrite: boolean
  /**
   * Whether it counts as a write unless the server says that it has written nothing: it calls, or reads, what may write or not. Of a
   * rowless one that is the doubt where it affects no row.
   */
  readonly isInDoubt: boolean
  /**
   * Whether a current catalog says that it writes nothing: a read, or a rowless one where it affects no row. Where it does not, the
   * server is asked on the primary.
   */
  readonly isVouched: boolean
  /**
   * Whether it may give its transaction an id without a write that counts: it locks rows or a table, makes a temporary one, or writes to
   * an unpinned one. An id says nothing then.
   */
  readonly takesId: boolean
  /** Whether it is a read as far as is known, and what its relations and types do has not been read yet. */
  readonly isEarly: boolean
  /** What it does to its session's transaction. */
  readonly transaction: TransactionEffect
  /** What kind of a transaction it begins, where it does so alone; undefined where it does not. */
  readonly opens: Opens | undefined
  /** Whether it reads what is on the primary only, or is true only there. */
  readonly readsPrimary: boolean
  /** Whether it is about its session's transaction alone: it is wherever that is. */
  readonly isControl: boolean
  /** Whether it is one about its session that is written as a read: that can be asked about like one. */
  readonly isSessionCall: boolean
  /** What it sets in its session, where it does nothing else and that can be said to another session as well; undefined for any other. */
  readonly sets: readonly SettingChange[] | undefined
  /** Whether it may set something for its session that nobody can follow: no other client may have that session then. */
  readonly keepsSettings: boolean
  /** Whether it calls a function that may leave something in its session which no other has: a lock, say. */
  readonly binds: boolean
  /** What it does with a prepared statement or a cursor of its session, which tells more than its own text; undefined for nothing. */
  readonly named: (NamedWork & { readonly inner: string | undefined }) | undefined
}

/**
 * What a statement changes in the schema: `'something'` (a new table, a column) is only not known yet; `'effects'` (a trigger, a rule, a
 * policy, a function) may make a table that was plain do more.
 */
export type Definition = 'nothing' | 'something' | 'effects'

/** What in a statement may do more than read. */
export type Blocker =
  /** A function that it calls; `because` says what that calls in turn, where its own declaration says less. */
  | { readonly kind: 'function'; readonly call: FunctionCall; readonly because: string | undefined }
  /** A relation that it names: a view, a table with policies, a foreign table. */
  | { readonly kind: 'relation'; readonly relation: TableName; readonly cause: Cause }

/** A read that leaves nothing in the session. */
export const READ: Statement = {
  kind: 'read',
  countsAsWrite: false,
  isRowless: false,
  isAllOrNothing: true,
  defines: 'nothing',
  hasCalls: false,
  blocker: undefined,
  isUnknown: false,
  unknownCall: undefined,
  unknownRelation: undefined,
  mayWrite: false,
  isEarly: false,
  isInDoubt: false,
  isVouched: false,
  takesId: false,
  transaction: undefined,
  opens: undefined,
  isControl: false,
  isSessionCall: false,
  readsPrimary: false,
  sets: undefined,
  keepsSettings: false,
  binds: false,
  named: undefined,
}

/** A read whose functions may leave something there. */
export const READ_WITH_CALLS: Statement = { ...READ, hasCalls: true }

/** What may do anything. */
export const WRITE: Statement = {
  ...READ,
  kind: 'write',
  countsAsWrite: true,
  isAllOrNothing: false,
  mayWrite: true,
}

/** `select … for update` and the like. */
export const LOCKING: Statement = { ...READ, kind: 'locking', takesId: true }

/** The same with calls: a stable function may call a volatile one. */
export const LOCKING_WITH_CALLS: Statement = { ...LOCKING, hasCalls: true, mayWrite: true }

/** What only sets something that follows its client: any node will do, as for a read, and nothing is written. */
export const SETTING: Statement = { ...READ, hasCalls: true, isVouched: true }

/** A read of what is to be read on the primary. */
export const PRIMARY_TABLE: Statement = {
  ...READ,
  kind: 'primary-table',
  hasCalls: true,
  readsPrimary: true,
}

/** A statement about the session or its transaction. */
export const SESSION: Statement = { ...READ, kind: 'session', hasCalls: true }

/** A read that leaves something in the session on purpose: an advisory lock, say. */
export const SESSION_CALL: Statement = { ...SESSION, mayWrite: true, isSessionCall: true }

/** A statement about the session that runs what may write. */
export const SESSION_WRITE: Statement = { ...SESSION, mayWrite: true, countsAsWrite: true }

/** A read that calls, or names a relation that calls, what may do more than read: it counts unless the server says that it wrote nothing. */
export const FUNCTION: Statement = {
  ...READ,
  kind: 'function',
  countsAsWrite: true,
  hasCalls: true,
  mayWrite: true,
  isInDoubt: true,
}

/** What a text may change in the schema: also as one of several statements, or inside a `do` block. A word too many does no harm. */
export function definitionIn(sql: string): Definition {
  if (!DEFINES.test(sql)) return 'nothing'
  return ALTERS.test(sql) || (CREATES.test(sql) && DOES_SOMETHING.test(sql)) ? 'effects' : 'something'
}

const DEFINES = /\b(?:create|alter|drop|import)\b/i
const ALTERS = /\b(?:alter|import)\b/i
const CREATES = /\bcreate\b/i
const DOES_SOMETHING =
  /\b(?:aggregate|cast|domain|extension|foreign|function|operator|policy|procedure|rule|trigger|view)\b/i
