import type { Session } from '../nodes/session.ts'
import { asksForTakenValue, type Leftover } from '../routing/left-in-session.ts'
import { Settings } from '../sql/settings.ts'
import type { PgConnection } from './client.ts'

/** Gets the events of the session that a client has borrowed. */
export interface SessionListener {
  hear(event: 'notice' | 'notification', args: readonly unknown[]): void
  /** The session was lost. */
  lost(error: Error): void
}

/** A session that the client keeps, because something of the client is left in it. */
interface Kept {
  readonly session: Session
  /** Whether only advisory locks are left in it. */
  isForLocks: boolean
  /** Whether, since the server was last asked, a statement may have released such a lock, or failed to get it. */
  mayBeUnlocked: boolean
}

/**
 * Borrows a connection from the pool for each statement of a client, so that an idle client has none. It is given
 * back after the statement, unless a transaction is open or the session has something that no other session has. Such
 * a session is closed in the end.
 */
export class BorrowedConnection {
  readonly #lend: () => PgConnection
  readonly #listener: SessionListener
  #connection: PgConnection | undefined
  #session: Session | undefined
  /** What the client has set. It follows the client to each connection. */
  #settings: Settings
  /** The session in which something of this client is left; undefined for none. */
  #kept: Kept | undefined

  /** `settings` are what the client wants from the beginning. */
  constructor(lend: () => PgConnection, listener: SessionListener, settings = Settings.NONE) {
    this.#lend = lend
    this.#settings = settings
    this.#listener = listener
  }

  /** The session that it is on. */
  get session(): Session | undefined {
    return this.#session
  }

  /** What the client has set, outside a transaction. */
  get settings(): Settings {
    return this.#connection?.settings ?? this.#settings
  }

  /** Whether the client must keep its connection, because a transaction is open. */
  get isInTransaction(): boolean {
    return this.#connection?.isInTransaction === true
  }

  /**
   * Gives the connection that the client has, or lends one, for a statement with this text.
   *
   * @throws {Error} if the text asks for what its session did before (`currval()`, `lastval()`): each session would
   * give another answer. The code is 55000, as from a server in a session that has done nothing.
   */
  take(text?: string): PgConnection {
    if (this.#connection !== undefined) return this.#connection
    if (text !== undefined && asksForTakenValue(text)) throw notInThisSession()
    const connection = this.#lend()
    connection.onMoved = (session) => this.#moved(session)
    connection.settings = this.#settings
    this.#connection = connection
    return connection
  }

  /** Gives the connection back after a statement, unless the statement has left something in its session. */
  ran(text: string): void {
    const connection = this.#connection
    if (connection === undefined) return
    const { session } = connection
    if (session !== this.#kept?.session) this.#kept = undefined
    const left = session === undefined ? 'nothing' : connection.leftBy(text)
    if (left === 'cleared') this.#kept = undefined
    else if (session !== undefined && left !== 'nothing') this.#keep(session, left, connection)
    if (this.#kept !== undefined && MAY_UNLOCK.test(text)) this.#kept.mayBeUnlocked = true
    if (connection.isInTransaction) return
    if (this.#kept === undefined) this.giveBack()
    else if (this.#kept.isForLocks && this.#kept.mayBeUnlocked) void this.#askForLocks(this.#kept, connection)
  }

  #keep(session: Session, left: Leftover, connection: PgConnection): void {
    this.#kept ??= { session, isForLocks: true, mayBeUnlocked: false }
    if (left === 'lock') connection.mayHoldLocks()
    else {
      this.#kept.isForLocks = false
      connection.keepToItself()
    }
  }

  /** Only locks of this client may be left: gives the connection back if the server says that it holds none any more. */
  async #askForLocks(kept: Kept, connection: PgConnection): Promise<void> {
    kept.mayBeUnlocked = false
    if ((await connection.holdsLocks()) || kept !== this.#kept || !kept.isForLocks) return
    this.#kept = undefined
    // A statement that came meanwhile gives it back when it is over.
    if (!connection.isBusy && !connection.isInTransaction) this.giveBack()
  }

  giveBack(isToBeClosed = false): void {
    const connection = this.#connection
    this.#connection = undefined
    this.#kept = undefined
    this.#moved(undefined)
    if (connection === undefined) return
    connection.onMoved = undefined
    this.#settings = connection.settings
    connection.release(isToBeClosed)
  }

  #moved(session: Session | undefined): void {
    const before = this.#session
    this.#session = session
    if (before?.client === session?.client) return
    for (const event of EVENTS) {
      before?.client.off?.(event as 'end', this.#forward[event])
      session?.client.on?.(event as 'end', this.#forward[event])
    }
  }

  readonly #forward: Readonly<Record<(typeof EVENTS)[number], (...args: unknown[]) => void>> = {
    notice: (...args) => this.#listener.hear('notice', args),
    notification: (...args) => this.#listener.hear('notification', args),
    error: (error) => this.#listener.lost(error as Error),
  }
}

function notInThisSession(): Error {
  const why =
    'currval() and lastval() tell of the session in which a value was taken, and this client keeps none between two statements: ' +
    'ask in the transaction of the insert, or have it give the value by `returning`.'
  return Object.assign(new Error(why), { code: '55000', severity: 'ERROR' })
}

const EVENTS = ['notice', 'notification', 'error'] as const
const MAY_UNLOCK = /advisory_unlock|try_advisory_lock/i
