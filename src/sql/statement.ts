import type { Cause } from './cause.ts'
import type { SettingChange } from './setting-changes.ts'
import type { FunctionCall, NamedWork, TransactionEffect } from './statement-text.ts'
import type { TableName } from './table-names.ts'
import type { Opens } from './transaction-modes.ts'

/**
 * What a statement is, as far as it matters to routing. Seven of the fields are about writing:
 *
 * | field | true if | what follows |
 * |---|---|---|
 * | `mayWrite` | it may write, even if that does not count | an exact pin has to cover it |
 * | `countsAsWrite` | it is a write once it has taken effect | the request pins |
 * | `isInDoubt` | it counts only if the server says that it wrote | the server is asked after it, or at the COMMIT |
 * | `isVouched` | a current catalog says that it writes nothing | the server is not asked |
 * | `takesId` | its transaction may get an id without a write that counts | an id does not show a write |
 * | `isUnknown` | the effects of its functions or relations are unknown | the server may be asked for them first |
 * | `isEarly` | the facts on relations were not read yet | the first reading may be awaited |
 */
export interface Statement {
  /** `'read'`: any node that is fresh enough will do. The other kinds go to the primary, and say why. */
  readonly kind: 'read' | 'locking' | 'primary-table' | 'session' | 'function' | 'write'
  /** Whether it counts as a write once it has taken effect. */
  readonly countsAsWrite: boolean
  /**
   * Whether it has no effect if it affects no row: an update, delete or merge of a table that is known to be plain.
   */
  readonly needsRows: boolean
  /** Whether it has no effect if the server refuses it. Other texts may have committed a part of their work. */
  readonly isAllOrNothing: boolean
  /** Whether it may change the schema, and what it may change there. */
  readonly defines: Definition
  /**
   * Whether it calls functions that may leave something in the session even if the statement is refused. The
   * functions of PostgreSQL that a read may call leave nothing.
   */
  readonly hasCalls: boolean
  /** The function or relation because of which it must not run on a replica; undefined for none. */
  readonly blocker: Blocker | undefined
  /** Whether the effects of its functions or relations are unknown. The server may be asked for them first. */
  readonly isUnknown: boolean
  /** A function that the catalog does not know; undefined if it knows all. */
  readonly unknownCall: FunctionCall | undefined
  /** A relation that the catalog does not know; undefined if it knows all. */
  readonly unknownRelation: TableName | undefined
  /** Whether it may write something, even if that does not count: to an unpinned table, or by a trigger. */
  readonly mayWrite: boolean
  /**
   * Whether it counts as a write unless the server says that it wrote nothing: it calls or reads something that may
   * write. A statement that needs rows is in doubt only if it affects none.
   */
  readonly isInDoubt: boolean
  /**
   * Whether a current catalog says that it writes nothing: a read, or a statement that needs rows and affects none. If
   * not, the server is asked on the primary.
   */
  readonly isVouched: boolean
  /**
   * Whether it may give its transaction an id without a write that counts: it locks rows or a table, makes a
   * temporary table, or writes to an unpinned one. Then an id does not show a write.
   */
  readonly takesId: boolean
  /** Whether it looks like a read, but the facts on its relations and types were not read yet. */
  readonly isEarly: boolean
  /** Its effect on the session's transaction. */
  readonly transaction: TransactionEffect
  /** The kind of transaction that it begins, if it does nothing else; undefined otherwise. */
  readonly opens: Opens | undefined
  /** Whether it reads something that only the primary has, or that is true only there. */
  readonly readsPrimary: boolean
  /** Whether it only controls its session's transaction. It goes to the node where that transaction is. */
  readonly isControl: boolean
  /**
   * Whether it is about its session, but written as a read. The server can be asked along with it, as with a read.
   */
  readonly isSessionCall: boolean
  /**
   * What it sets in its session, if it does nothing else and another session can be set in the same way; undefined
   * otherwise.
   */
  readonly sets: readonly SettingChange[] | undefined
  /**
   * Whether it may set something for its session that this package cannot follow. Then no other client may get that
   * session.
   */
  readonly keepsSettings: boolean
  /** Whether it calls a function that may leave something that no other session has, such as a lock. */
  readonly binds: boolean
  /**
   * What it does with a prepared statement or a cursor of its session; undefined for nothing. The session may know
   * more about it than this text shows.
   */
  readonly named: (NamedWork & { readonly inner: string | undefined }) | undefined
}

/**
 * What a statement changes in the schema.
 *
 * - `'something'`: it makes something new, such as a table or a column, which the catalog does not know yet.
 * - `'effects'`: it changes the effects of other statements, by a trigger, a rule, a policy or a function. A plain
 *   table may no longer be plain.
 */
export type Definition = 'nothing' | 'something' | 'effects'

/** The function or relation in a statement that may do more than read. */
export type Blocker =
  /**
   * A function that it calls. `because` says what that function calls or reads, if its own declaration does not say
   * enough.
   */
  | { readonly kind: 'function'; readonly call: FunctionCall; readonly because: string | undefined }
  /** A relation that it names: a view, a table with policies, a foreign table. */
  | { readonly kind: 'relation'; readonly relation: TableName; readonly cause: Cause }

/** A read that leaves nothing in the session. */
export const READ: Statement = {
  kind: 'read',
  countsAsWrite: false,
  needsRows: false,
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

/** A read whose functions may leave something in the session. */
export const READ_WITH_CALLS: Statement = { ...READ, hasCalls: true }

/** A statement that may do anything. */
export const WRITE: Statement = {
  ...READ,
  kind: 'write',
  countsAsWrite: true,
  isAllOrNothing: false,
  mayWrite: true,
}

/** `select … for update` and the like. */
export const LOCKING: Statement = { ...READ, kind: 'locking', takesId: true }

/** A locking read with calls: a stable function may call a volatile one. */
export const LOCKING_WITH_CALLS: Statement = { ...LOCKING, hasCalls: true, mayWrite: true }

/**
 * A statement that only sets something that follows its client to other sessions. Any node will do, as for a read,
 * and nothing is written.
 */
export const SETTING: Statement = { ...READ, hasCalls: true, isVouched: true }

/** A read of something that must be read on the primary. */
export const PRIMARY_TABLE: Statement = {
  ...READ,
  kind: 'primary-table',
  hasCalls: true,
  readsPrimary: true,
}

/** A statement about the session or its transaction. */
export const SESSION: Statement = { ...READ, kind: 'session', hasCalls: true }

/** A read that leaves something in the session on purpose, such as an advisory lock. */
export const SESSION_CALL: Statement = { ...SESSION, mayWrite: true, isSessionCall: true }

/** A statement about the session that runs something that may write. */
export const SESSION_WRITE: Statement = { ...SESSION, mayWrite: true, countsAsWrite: true }

/**
 * A read that calls a function that may do more than read, or names a relation that does. It counts as a write unless
 * the server says that it wrote nothing.
 */
export const FUNCTION: Statement = {
  ...READ,
  kind: 'function',
  countsAsWrite: true,
  hasCalls: true,
  mayWrite: true,
  isInDoubt: true,
}

/**
 * What a text may change in the schema, by the words in it: also in one of several statements, or in a `do` block.
 * One word too many does no harm.
 */
export function definitionIn(sql: string): Definition {
  if (!DEFINES.test(sql)) return 'nothing'
  return ALTERS.test(sql) || (CREATES.test(sql) && DOES_SOMETHING.test(sql)) ? 'effects' : 'something'
}

const DEFINES = /\b(?:create|alter|drop|import)\b/i
const ALTERS = /\b(?:alter|import)\b/i
const CREATES = /\bcreate\b/i
const DOES_SOMETHING =
  /\b(?:aggregate|cast|domain|extension|foreign|function|operator|policy|procedure|rule|trigger|view)\b/i
