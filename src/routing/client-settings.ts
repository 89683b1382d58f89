import { WritePinningError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import type { Session } from '../nodes/session.ts'
import { settingsOf } from '../nodes/session-settings.ts'
import { readSavepoints } from '../sql/savepoint.ts'
import { knownChange, Settings } from '../sql/settings.ts'
import { SETTING, type Statement } from '../sql/statement.ts'
import type { BoundSession } from './bound-session.ts'
import type { Query } from './query.ts'
import type { TransactionEnd } from './transaction.ts'

/** How long a replica that has refused a client's settings is not asked again for them, in ms: it may have replayed what it lacked by then. */
const REFUSED_MS = 1_000

/**
 * What one client has set, which follows it from session to session: as it was before the transaction that is open, and as it is now. What
 * is set in a transaction holds for what comes later only if that commits (https://www.postgresql.org/docs/current/sql-set.html).
 */
export class ClientSettings {
  readonly #session: BoundSession
  #kept = Settings.NONE
  #now = Settings.NONE
  readonly #savepoints: { readonly name: string; readonly settings: Settings }[] = []
  /** Which replica has refused what, and when. */
  #refused: { readonly node: Node; readonly settings: Settings; readonly atMs: number } | undefined
  /** Whether nobody knows what is set: the commit of that was lost, say. */
  #isUnknown = false

  constructor(session: BoundSession) {
    this.#session = session
  }

  /** Whoever has it now has set nothing but these. */
  reset(initial = Settings.NONE): void {
    if (this.#now === initial && this.#kept === initial && !this.#isUnknown) return
    this.#isUnknown = false
    this.#kept = initial
    this.#now = initial
    this.#savepoints.length = 0
    this.#refused = undefined
  }

  /** Whether {@link judge} may say of a statement what its text alone does not. */
  mayJudge({ sets, opens }: Statement): boolean {
    return sets !== undefined || opens === 'read-only' || this.#isUnknown
  }

  /**
   * What a query is to a client whose settings follow it: where it only sets something, any node will do. Where transactions are
   * serializable by the client's own setting, no replica will for one that does not say. `follow` tells whether settings can follow a client.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_UNKNOWN_OUTCOME` where nobody knows what is set: the commit of that was lost, say.
   */
  judge(
    statement: Statement,
    { values }: Query<unknown>,
    { isInTransaction, follow }: { readonly isInTransaction: boolean; readonly follow: () => boolean },
  ): Statement {
    const { sets, opens } = statement
    if (this.#isUnknown) throw unknownSettings()
    if (sets !== undefined) {
      if (!follow()) return { ...statement, sets: undefined, keepsSettings: true }
      if (isInTransaction) return statement
      if (sets.some((each) => knownChange(each, values) === undefined)) {
        return { ...statement, sets: undefined, keepsSettings: true }
      }
      const isOfPrimary = sets.some((each) => each.does === 'set' && OF_PRIMARY.has(each.name))
      return isOfPrimary
        ? statement
        : { ...SETTING, isAllOrNothing: statement.isAllOrNothing, sets, named: statement.named }
    }
    if (opens !== 'read-only' || this.#now === Settings.NONE) return statement
    const isolation = this.#now.statementOf('default_transaction_isolation') ?? ''
    return /serializable/i.test(isolation) ? { ...statement, opens: 'read-only-serializable' } : statement
  }

  /** What was set before the transaction that is open, or else is set. */
  get kept(): Settings {
    return this.#kept
  }

  /** Whether a replica is left alone: nothing can be laid on its sessions, or it has just refused what the client has set. */
  avoids(node: Node): boolean {
    if (this.#now === Settings.NONE || node.role === 'primary') return false
    if (!node.carriesSettings) return true
    const refused = this.#refused
    if (refused === undefined || refused.node !== node || !refused.settings.equals(this.#now)) return false
    return performance.now() - refused.atMs < REFUSED_MS
  }

  /** A replica has refused what the client has set. */
  wasRefusedBy(node: Node): void {
    this.#refused = { node, settings: this.#now, atMs: performance.now() }
  }

  /** The client comes to a session: true where that is, or may be, set to something else. */
  arrive({ client, wasPrimary }: Session): boolean {
    const its = settingsOf(client)
    return its === undefined ? this.#kept !== Settings.NONE : its.hold(this.#kept, !wasPrimary)
  }

  /** Sets a session that nothing can be laid on, by statements of their own; it stays with the client then. */
  async state({ client }: Session): Promise<void> {
    for (const text of this.#kept.statementsAfter(Settings.NONE, Settings.NONE, false))
      await client.query(text)
  }

  /** Follows what a statement has set that its session has accepted. */
  ran({ sets }: Statement, { values }: Query<unknown>, session: Session, isInTransaction: boolean): void {
    // It stays with its client then: nobody could take back what is set there.
    if (settingsOf(session.client) === undefined) this.#session.closeOnceLeft()
    for (const each of sets ?? []) {
      const change = knownChange(each, values)
      // In a transaction, what cannot be told has the session closed in the end.
      if (change === undefined) this.#session.closeOnceLeft()
      else this.#now = this.#now.with(change)
      if (each.does === 'discard-all') forgetPrepared(session)
    }
    if (!isInTransaction) this.#kept = this.#now
    settingsOf(session.client)?.wasSet(this.#now)
  }

  /**
   * Follows what a text, which has run in the transaction that was open, does with savepoints, and with the transaction where another may be
   * open behind it. `hasFailed` tells whether the transaction had failed before: its commit is a rollback then.
   */
  ranInTransaction(sql: string, hasFailed: boolean): void {
    if (!this.#hasChanges) return
    const works = readSavepoints(sql)
    if (works === undefined) this.#lose()
    for (const work of works ?? []) {
      if (work.does === 'sets') this.#savepoints.push({ name: work.name, settings: this.#now })
      else if (work.does === 'releases') this.#savepoints.splice(Math.max(0, this.#indexOf(work.name)))
      else if (work.does === 'rolls-back') {
        const at = this.#indexOf(work.name)
        this.#savepoints.splice(at + 1)
        // One that is not known was set before anything else was.
        this.#becomes(this.#savepoints[at]?.settings ?? this.#kept)
      } else this.ended(work.does === 'commits' && !hasFailed ? 'committed' : 'rolled-back')
      if (work.does === 'rolls-back' || work.does === 'rolls-all-back') hasFailed = false
    }
  }

  /** A text of several statements was refused in the transaction that was open: nobody knows how many of them have run. */
  failedInTransaction(sql: string): void {
    if (this.#hasChanges && readSavepoints(sql)?.length !== 0) this.#lose()
  }

  /** Whether a rollback in the transaction that is open may take something back. */
  get #hasChanges(): boolean {
    return this.#now !== this.#kept || this.#savepoints.length > 0
  }

  #indexOf(savepoint: string): number {
    return this.#savepoints.findLastIndex(({ name }) => name === savepoint)
  }

  /** Nobody knows what is set any more, in the session neither. */
  #lose(): void {
    this.#isUnknown = true
    this.#session.closeOnceLeft()
  }

  /** The transaction is over. */
  ended(how: TransactionEnd): void {
    this.#savepoints.length = 0
    if (this.#now === this.#kept) return
    if (how === 'committed') this.#kept = this.#now
    else this.#becomes(this.#kept)
    if (how === 'unknown') this.#isUnknown = true
  }

  #becomes(settings: Settings): void {
    this.#now = settings
    const client = this.#session.current?.client
    if (client !== undefined) settingsOf(client)?.wasSet(settings)
  }
}

/** A statement that sets these means something else on a replica, whose sessions are read-only and not serializable. */
const OF_PRIMARY: ReadonlySet<string> = new Set([
  'default_transaction_read_only',
  'default_transaction_isolation',
])

function unknownSettings(): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_UNKNOWN_OUTCOME',
    'This client has set something for its session in a transaction of which nobody knows how it ended: its connection was lost at the commit, or one of ' +
      'several statements in one text was refused. So nobody knows what is set. ' +
      'Release this client, or end it, and take another.',
  )
}

/** With `discard all` the session has forgotten what `pg` has prepared there by a name. */
function forgetPrepared({ client: { connection } }: Session): void {
  const prepared = connection as { parsedStatements?: object } | undefined
  if (prepared?.parsedStatements !== undefined) prepared.parsedStatements = {}
}
