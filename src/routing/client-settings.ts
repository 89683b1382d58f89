import { WritePinningError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import type { Session } from '../nodes/session.ts'
import { settingsOf } from '../nodes/session-settings.ts'
import { readSavepoints } from '../sql/savepoint.ts'
import { knownChange, Settings } from '../sql/settings.ts'
import { SETTING, type Statement } from '../sql/statement.ts'
import type { HeldSession } from './held-session.ts'
import type { Query } from './query.ts'
import type { TransactionEnd } from './transaction.ts'

/**
 * How long a client avoids a replica that has refused its settings, in ms. After that, the replica may have replayed
 * what it lacked.
 */
const REFUSED_MS = 1_000

/**
 * What one client has set: now, and before the open transaction. The settings follow the client from session to
 * session. What is set in a transaction holds for later statements only if the transaction commits
 * (https://www.postgresql.org/docs/current/sql-set.html).
 */
export class ClientSettings {
  readonly #held: HeldSession
  #kept = Settings.NONE
  #now = Settings.NONE
  readonly #savepoints: { readonly name: string; readonly settings: Settings }[] = []
  /** The replica that last refused the settings, which ones, and when. */
  #refused: { readonly node: Node; readonly settings: Settings; readonly atMs: number } | undefined
  /** Whether it is unknown what is set, for example because the connection was lost at a commit. */
  #isUnknown = false

  constructor(held: HeldSession) {
    this.#held = held
  }

  /** The client has a new holder, who has set only these. */
  reset(initial = Settings.NONE): void {
    if (this.#now === initial && this.#kept === initial && !this.#isUnknown) return
    this.#isUnknown = false
    this.#kept = initial
    this.#now = initial
    this.#savepoints.length = 0
    this.#refused = undefined
  }

  /** Whether {@link reclassify} may find more than the text alone says. */
  mayReclassify({ sets, opens }: Statement): boolean {
    return sets !== undefined || opens === 'read-only' || this.#isUnknown
  }

  /**
   * Classifies a statement once more, now for this client.
   *
   * - A statement that only sets something may run on any node.
   * - If the client has set serializable as its default isolation, a `read only` transaction needs the primary.
   *
   * `follow` says whether settings can follow clients in this cluster.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_UNKNOWN_OUTCOME` if nobody knows what is set, for example because
   * the connection was lost at a commit.
   */
  reclassify(
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
      const needsPrimary = sets.some((each) => each.does === 'set' && NEED_PRIMARY.has(each.name))
      return needsPrimary
        ? statement
        : { ...SETTING, isAllOrNothing: statement.isAllOrNothing, sets, named: statement.named }
    }
    if (opens !== 'read-only' || this.#now === Settings.NONE) return statement
    const isolation = this.#now.statementOf('default_transaction_isolation') ?? ''
    return /serializable/i.test(isolation) ? { ...statement, opens: 'read-only-serializable' } : statement
  }

  /** What was set before the open transaction. If none is open, what is set now. */
  get kept(): Settings {
    return this.#kept
  }

  /**
   * Whether the client avoids this replica: nothing can be sent ahead on its sessions, or it has just refused what the
   * client has set.
   */
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

  /** The settings follow the client to this session. Gives whether something else is, or may be, set there. */
  followTo({ client, wasPrimary }: Session): boolean {
    const its = settingsOf(client)
    return its === undefined ? this.#kept !== Settings.NONE : its.hold(this.#kept, !wasPrimary)
  }

  /** Sends the client's settings as statements of their own, to a session on which nothing can be sent ahead. */
  async sendTo({ client }: Session): Promise<void> {
    for (const text of this.#kept.statementsAfter(Settings.NONE, Settings.NONE, false))
      await client.query(text)
  }

  /** Follows what a statement has set, once its session has accepted it. */
  ran({ sets }: Statement, { values }: Query<unknown>, session: Session, isInTransaction: boolean): void {
    // If nothing can be sent ahead on a session, nothing resets what is set there. So no other client gets it.
    if (settingsOf(session.client) === undefined) this.#held.closeOnceLeft()
    for (const each of sets ?? []) {
      const change = knownChange(each, values)
      // In a transaction, it may be unknown what was set. Then the session is closed in the end.
      if (change === undefined) this.#held.closeOnceLeft()
      else this.#now = this.#now.with(change)
      if (each.does === 'discard-all') forgetPrepared(session)
    }
    if (!isInTransaction) this.#kept = this.#now
    settingsOf(session.client)?.wasSet(this.#now)
  }

  /**
   * Follows what a text did with savepoints, and with the open transaction itself. The text may have ended it and begun
   * another one. `hasFailed` says whether the transaction had failed before: then its commit is a rollback.
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
        // An unknown savepoint was made before the transaction set anything.
        this.#becomes(this.#savepoints[at]?.settings ?? this.#kept)
      } else this.ended(work.does === 'commits' && !hasFailed ? 'committed' : 'rolled-back')
      if (work.does === 'rolls-back' || work.does === 'rolls-all-back') hasFailed = false
    }
  }

  /** The server refused a text of several statements in the open transaction. It is unknown how many of them ran. */
  failedInTransaction(sql: string): void {
    if (this.#hasChanges && readSavepoints(sql)?.length !== 0) this.#lose()
  }

  /** Whether a rollback in the open transaction may take something back. */
  get #hasChanges(): boolean {
    return this.#now !== this.#kept || this.#savepoints.length > 0
  }

  #indexOf(savepoint: string): number {
    return this.#savepoints.findLastIndex(({ name }) => name === savepoint)
  }

  /** From now on it is unknown what is set, for the client and in the session. */
  #lose(): void {
    this.#isUnknown = true
    this.#held.closeOnceLeft()
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
    const client = this.#held.current?.client
    if (client !== undefined) settingsOf(client)?.wasSet(settings)
  }
}

/**
 * A statement that sets one of these means something else on a replica, whose sessions are read-only and not
 * serializable.
 */
const NEED_PRIMARY: ReadonlySet<string> = new Set([
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

/** After `discard all` the session has forgotten the statements that `pg` has prepared there by name. */
function forgetPrepared({ client: { connection } }: Session): void {
  const prepared = connection as { parsedStatements?: object } | undefined
  if (prepared?.parsedStatements !== undefined) prepared.parsedStatements = {}
}
