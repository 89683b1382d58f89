import type { Session } from '../nodes/session.ts'
import { asksForTakenValue } from '../routing/left-in-session.ts'
import { Settings } from '../sql/settings.ts'
import type { PgConnection } from './client.ts'

/** What a client's connection tells it. */
export interface Hearer {
  /** A notice or a notification has come. */
  hear(event: 'notice' | 'notification', args: readonly unknown[]): void
  /** The session that it is on was lost. */
  lost(error: Error): void
}

/**
 * The connection of a client that holds none while it is idle: it is lent for a statement, and given back after that, unless a transaction is
 * open or the session has something that no other has. Such a session is closed in the end.
 */
export class IdleConnection {
  readonly #lend: () => PgConnection
  readonly #hearer: Hearer
  #connection: PgConnection | undefined
  #session: Session | undefined
  /** What its client has set, which follows it. */
  #settings: Settings
  /** The session that has something of this client's; undefined for none. */
  #kept: Session | undefined

  /** `settings` are what its client wants from the beginning. */
  constructor(lend: () => PgConnection, hearer: Hearer, settings = Settings.NONE) {
    this.#lend = lend
    this.#settings = settings
    this.#hearer = hearer
  }

  /** The session that it is on. */
  get session(): Session | undefined {
    return this.#session
  }

  /** What its client has set, outside a transaction. */
  get settings(): Settings {
    return this.#connection?.settings ?? this.#settings
  }

  /** Whether it has to stay where it is, for a transaction that only its own statements may end. */
  get isInTransaction(): boolean {
    return this.#connection?.isInTransaction === true
  }

  /**
   * The connection that it has, or one that it is lent, for a statement with this text.
   *
   * @throws {Error} for one that asks what the session has done before, which has another answer in each: with the code that a server
   * gives it in a session that has done nothing.
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

  /** Gives it back after a statement, where nothing is left of that which is needed. */
  ran(text: string): void {
    const connection = this.#connection
    if (connection === undefined) return
    const { session } = connection
    if (session !== this.#kept) this.#kept = undefined
    const left = session === undefined ? 'nothing' : connection.leftBy(text)
    if (left === 'cleared') this.#kept = undefined
    else if (left !== 'nothing') {
      this.#kept = session
      connection.keepToItself()
    }
    if (this.#kept === undefined && !connection.isInTransaction) this.giveBack()
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
    notice: (...args) => this.#hearer.hear('notice', args),
    notification: (...args) => this.#hearer.hear('notification', args),
    error: (error) => this.#hearer.lost(error as Error),
  }
}

function notInThisSession(): Error {
  const why =
    'currval() and lastval() tell of the session in which a value was taken, and this client keeps none between two statements: ' +
    'ask in the transaction of the insert, or have it give the value by `returning`.'
  return Object.assign(new Error(why), { code: '55000', severity: 'ERROR' })
}

const EVENTS = ['notice', 'notification', 'error'] as const
