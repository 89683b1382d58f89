import type { Session } from '../nodes/session.ts'
import { type Askable, askOn } from '../own-statements.ts'
import type { Settings } from '../sql/settings.ts'
import { ClientSettings } from './client-settings.ts'
import type { Cluster } from './cluster.ts'
import type { ConnectionParts } from './connection-parts.ts'
import { HeldSession } from './held-session.ts'
import { LeftInSession, type Leftover } from './left-in-session.ts'
import { Outcome } from './outcome.ts'
import type { Query } from './query.ts'
import { ReadOnlyBinding } from './read-only-binding.ts'
import { StatementRun } from './run-statement.ts'
import { Transaction } from './transaction.ts'

/** A query whose rows come bit by bit, once its first rows are there. */
export interface OpenStream<R> {
  readonly isEmpty: boolean
  /** All rows, until the end or until their reader leaves. */
  rows(): AsyncGenerator<R, void, undefined>
}

/**
 * A connection that finds its node by itself. It takes a session at its first statement, and moves to the primary at
 * the first statement that needs it. It stays there while a transaction is open, or something is left in the session.
 * Its statements run one after the other.
 */
export class RoutedConnection {
  readonly #held: HeldSession
  readonly #transaction: Transaction
  readonly #settings: ClientSettings
  /** The parts that all its statements use. */
  readonly #parts: ConnectionParts
  readonly #waiting: (() => void)[] = []
  /** Whether its holder gave it back. */
  #isReleased = false
  /** The same, and nothing runs on it any more: it can be lent out again. */
  #isFree = false
  /** Whether its holder ended it. */
  #isEnded = false
  /** How many statements are under way. A query marked `'or-primary'` and a stream count one more. */
  #running = 0

  constructor(cluster: Cluster) {
    const held = new HeldSession(this.moved && ((to) => this.moved?.(to)))
    this.#held = held
    const settings = new ClientSettings(held)
    this.#settings = settings
    const transaction = new Transaction(cluster.name, cluster.watch, cluster.catalog, (how) =>
      settings.ended(how),
    )
    this.#transaction = transaction
    const outcome = new Outcome(cluster, held, transaction)
    const binding = new ReadOnlyBinding({ cluster, held, transaction, settings, outcome })
    const isEnded = () => this.#isEnded
    this.#parts = { cluster, held, transaction, settings, binding, outcome, isEnded, leave: this.#leave }
  }

  /** Lends the connection out, for the first time or again. */
  open(): void {
    this.#isReleased = false
    this.#isFree = false
    this.#isEnded = false
    this.#held.reset()
    this.#settings.reset()
  }

  /** Runs a query when the queries before it are over. */
  run<T>(query: Query<T>): Promise<T> {
    if (this.#isFree) return this.#runElsewhere(query)
    const run = new StatementRun(this.#parts, query)
    if (this.#running > 0) return this.#runAfterOthers(run, query)
    this.#running++
    return query.mark === 'or-primary' ? this.#runOrOnPrimary(run, query) : run.run()
  }

  /** Runs a query whose rows come bit by bit. The next query waits until its reader is done. */
  async *stream<R>(query: Query<OpenStream<R>>): AsyncGenerator<R, void, undefined> {
    if (this.#isFree) throw new Error(RELEASED)
    const run = new StatementRun(this.#parts, query)
    await this.#enter()
    try {
      const stream = await this.#runWithin(run)
      yield* this.#rowsOf(stream, run)
      const again = stream.isEmpty ? run.wouldAskPrimary : false
      if (again) yield* this.#rowsOf(await this.#runWithin(run, true), run)
    } finally {
      this.#leave()
    }
  }

  /** The session that it is on now; undefined for none. */
  get session() {
    return this.#held.current
  }

  /**
   * Called each time the connection can be lent out again: it was released, and nothing on it may still take a session.
   */
  onFree: (() => void) | undefined

  /** Gives back its session as soon as nothing is under way, or closes the session. */
  release(isToBeClosed = false): void {
    // A connection that is released twice must not be lent out twice.
    if (this.#isReleased) return
    this.#isReleased = true
    if (isToBeClosed) this.end()
    if (this.#running === 0) this.#free()
  }

  /**
   * Ends what is under way, and closes the session, if there is one. Queries that wait for the ones before them fail.
   */
  end(): void {
    this.#isEnded = true
    const session = this.#held.current
    if (session === undefined) return
    this.#held.mistrust(undefined)
    if (this.#running > 0) session.client.connection?.stream?.destroy()
    else if (!this.#isReleased) this.#letGo()
  }

  /** Whether a transaction is, or may be, open. Only statements of this connection can end it. */
  get isInTransaction(): boolean {
    return this.#transaction.isOpen
  }

  /**
   * What the holder has set, outside a transaction. It follows the connection from session to session, and may be
   * handed on to another connection.
   */
  get settings(): Settings {
    return this.#settings.kept
  }

  set settings(settings: Settings) {
    this.#settings.reset(settings)
  }

  /** What a statement with this text, which has run here, may have left in the session. */
  leftBy(text: string): Leftover {
    const { cluster } = this.#parts
    const statement = cluster.classifier.classify(text)
    if (statement.sets?.some(({ does }) => does === 'discard-all')) return 'cleared'
    if (this.#held.mustNotBeShared) return 'bound'
    const left = leftInSession.of(statement, text)
    if (left !== 'setting') return left
    return statement.sets !== undefined && cluster.followsSettings() ? 'nothing' : 'bound'
  }

  /**
   * Something is left in the session that no other client may get. The session is closed when the connection leaves it.
   */
  keepToItself(): void {
    this.#held.closeOnceLeft()
  }

  /** Its session may hold advisory locks: it is closed once this connection leaves it. */
  mayHoldLocks(): void {
    this.#held.mayHoldLocks = true
  }

  /** Asks the server whether the session still holds advisory locks. The next statement waits for the answer. True in doubt. */
  async holdsLocks(): Promise<boolean> {
    await this.#enter()
    try {
      const session = this.#held.currentOrThrow
      const [answer] = await askOn<{ held: boolean }>(session.client as Askable, LOCKS)
      const areHeld = answer?.held !== false || session !== this.#held.current
      if (!areHeld) this.#held.mayHoldLocks = false
      return areHeld
    } catch {
      return true
    } finally {
      this.#leave()
    }
  }

  get isBusy(): boolean {
    return this.#running > 0
  }

  /**
   * The connection may be lent to somebody else by now. A read gets a connection of its own. Anything else is refused.
   */
  #runElsewhere<T>(query: Query<T>): Promise<T> {
    const { cluster } = this.#parts
    if (cluster.classifier.classify(query.text).kind !== 'read') return Promise.reject(new Error(RELEASED))
    const other = new RoutedConnection(cluster)
    const sent = other.run(query)
    other.release()
    return sent
  }

  /**
   * Whether a connection that is released while statements run in a transaction stays lent until a later statement ends
   * that transaction. Kysely's does.
   */
  protected get keepsTransactions(): boolean {
    return false
  }

  /** Called with each session that the connection takes, and with undefined when it leaves one. */
  protected moved?(session: Session | undefined): void

  async #runAfterOthers<T>(run: StatementRun<T>, query: Query<T>): Promise<T> {
    await this.#enter()
    return await (query.mark === 'or-primary' ? this.#runOrOnPrimary(run, query) : run.run())
  }

  async #runOrOnPrimary<T>(run: StatementRun<T>, query: Query<T>): Promise<T> {
    try {
      const result = await this.#runWithin(run)
      return query.isEmpty(result) && run.wouldAskPrimary ? await this.#runWithin(run, true) : result
    } finally {
      this.#leave()
    }
  }

  /** Runs a statement as a part of what is under way. */
  #runWithin<T>(run: StatementRun<T>, isOnPrimary = false): Promise<T> {
    this.#running++
    return isOnPrimary ? run.runOnPrimary() : run.run()
  }

  async *#rowsOf<R>(
    stream: OpenStream<R>,
    run: StatementRun<OpenStream<R>>,
  ): AsyncGenerator<R, void, undefined> {
    let hasFailed = false
    try {
      yield* stream.rows()
    } catch (error) {
      hasFailed = true
      throw await run.failedLate(error)
    } finally {
      // A query may have written even if its reader left early.
      if (!hasFailed) run.streamed()
    }
  }

  #enter(): Promise<void> | undefined {
    if (this.#running > 0) return new Promise((resolve) => this.#waiting.push(resolve))
    this.#running++
    return undefined
  }

  /**
   * A statement is over. One that nobody awaited may run on after its connection was released, and may take a session
   * then. So the session is given back when all statements are over.
   */
  readonly #leave = (): void => {
    this.#running--
    if (this.#running > 0) return
    const next = this.#waiting.shift()
    if (next !== undefined) {
      this.#running++
      next()
    } else if (this.#isReleased && !(this.keepsTransactions && this.#transaction.isOpen)) this.#free()
  }

  #free(): void {
    this.#isFree = true
    this.#letGo()
    this.onFree?.()
  }

  /** Gives the session back. If a transaction is open, nobody can end it any more, so it ends with its session. */
  #letGo(): void {
    this.#held.letGo(this.#transaction.isOpen)
    this.#transaction.abandon()
    this.#parts.binding.forget()
  }
}

const leftInSession = new LeftInSession()

/**
 * Locks of a transaction end with it, so outside of one this finds only locks of the session
 * (https://www.postgresql.org/docs/current/explicit-locking.html#ADVISORY-LOCKS).
 */
const LOCKS = `select exists (select from pg_catalog.pg_locks
  where locktype operator(pg_catalog.=) 'advisory' and pid operator(pg_catalog.=) pg_catalog.pg_backend_pid()) as held`

const RELEASED = 'This connection was released, and takes no statement any more.'
