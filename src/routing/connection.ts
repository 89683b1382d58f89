import type { Session } from '../nodes/session.ts'
import type { Settings } from '../sql/settings.ts'
import { BoundSession } from './bound-session.ts'
import { ClientSettings } from './client-settings.ts'
import type { Cluster } from './cluster.ts'
import { LeftInSession, type Leftover } from './left-in-session.ts'
import { Outcome } from './outcome.ts'
import type { Place } from './place.ts'
import type { Query } from './query.ts'
import { ReadOnlyBinding } from './read-only-binding.ts'
import { StatementRun } from './run-statement.ts'
import { Transaction } from './transaction.ts'

/** What is there of a query whose rows come by and by, once the first of them are. */
export interface OpenStream<R> {
  readonly isEmpty: boolean
  /** All rows, to their end, or until their reader leaves. */
  rows(): AsyncGenerator<R, void, undefined>
}

/**
 * A connection that finds its node by itself: it binds to one at its first statement, moves to the primary at the first one that needs it,
 * and stays while a transaction or what was left in the session demands it. Its statements run one after the other.
 */
export class RoutedConnection {
  readonly #session: BoundSession
  readonly #transaction: Transaction
  readonly #settings: ClientSettings
  /** What its statements run in. */
  readonly #place: Place
  readonly #waiting: (() => void)[] = []
  #isReleased = false
  #isFree = false
  #isEnded = false
  /** How much is under way. */
  #running = 0

  constructor(cluster: Cluster) {
    const session = new BoundSession(this.moved && ((to) => this.moved?.(to)))
    this.#session = session
    const settings = new ClientSettings(session)
    this.#settings = settings
    const transaction = new Transaction(cluster.name, cluster.watch, cluster.catalog, (how) =>
      settings.ended(how),
    )
    this.#transaction = transaction
    const outcome = new Outcome(cluster, session, transaction)
    const binding = new ReadOnlyBinding({ cluster, own: session, transaction, settings, outcome })
    const isEnded = () => this.#isEnded
    this.#place = { cluster, session, transaction, settings, binding, outcome, isEnded, leave: this.#leave }
  }

  /** Lends it out, anew or again. */
  open(): void {
    this.#isReleased = false
    this.#isFree = false
    this.#isEnded = false
    this.#session.reset()
    this.#settings.reset()
  }

  /** Runs a query once those before it are over. */
  run<T>(query: Query<T>): Promise<T> {
    if (this.#isFree) return this.#runElsewhere(query)
    const run = new StatementRun(this.#place, query)
    if (this.#running > 0) return this.#runAfterOthers(run, query)
    this.#running++
    return query.mark === 'or-primary' ? this.#runOrOnPrimary(run, query) : run.run()
  }

  /** The same for one whose rows come by and by: the next query waits until its reader is done. */
  async *stream<R>(query: Query<OpenStream<R>>): AsyncGenerator<R, void, undefined> {
    if (this.#isFree) throw new Error(RELEASED)
    const run = new StatementRun(this.#place, query)
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

  /** The node and the client that it is on now; undefined for none. */
  get session() {
    return this.#session.current
  }

  /** Told each time that it is as good as new: released, and with nothing left that may still take a session. */
  onFree: (() => void) | undefined

  /** Gives its session back as soon as nothing is under way, or has it closed. */
  release(isToBeClosed = false): void {
    // Released twice, it must not be lent out twice.
    if (this.#isReleased) return
    this.#isReleased = true
    if (isToBeClosed) this.end()
    if (this.#running === 0) this.#free()
  }

  /** Ends what is under way, and has the session closed that it is on, if any; what waits for its turn fails. */
  end(): void {
    this.#isEnded = true
    const session = this.#session.current
    if (session === undefined) return
    this.#session.mistrust(undefined)
    if (this.#running > 0) session.client.connection?.stream?.destroy()
    else if (!this.#isReleased) this.#letGo()
  }

  /** Whether a transaction is open that only its own statements may end. */
  get isInTransaction(): boolean {
    return this.#transaction.isOpen
  }

  /** What whoever has it has set, outside a transaction; it follows from session to session, and may be handed on to another connection. */
  get settings(): Settings {
    return this.#settings.kept
  }

  set settings(settings: Settings) {
    this.#settings.reset(settings)
  }

  /** What a statement with this text, which has run here, may have left in the session. */
  leftBy(text: string): Leftover {
    const { cluster } = this.#place
    const statement = cluster.classifier.classify(text)
    if (statement.sets?.some(({ does }) => does === 'discard-all')) return 'cleared'
    if (this.#session.isOnlyHolders) return 'bound'
    const left = leftInSession.of(statement, text)
    if (left !== 'setting') return left
    return statement.sets !== undefined && cluster.followsSettings() ? 'nothing' : 'bound'
  }

  /** Something is left in its session that nobody else may meet: where it leaves that session, it is closed. */
  keepToItself(): void {
    this.#session.closeOnceLeft()
  }

  /** Whether something is under way. */
  get isBusy(): boolean {
    return this.#running > 0
  }

  /** By now it may be somebody else's: a read gets a connection of its own, and nothing else may follow. */
  #runElsewhere<T>(query: Query<T>): Promise<T> {
    const { cluster } = this.#place
    if (cluster.classifier.classify(query.text).kind !== 'read') return Promise.reject(new Error(RELEASED))
    const other = new RoutedConnection(cluster)
    const sent = other.run(query)
    other.release()
    return sent
  }

  /** Whether a transaction that goes on when it is released may be ended by statements that come then. */
  protected get keepsTransactions(): boolean {
    return false
  }

  /** Told of each session that it comes to, and of undefined as it leaves one. */
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
      // One that its reader left early may have written all the same.
      if (!hasFailed) run.streamed()
    }
  }

  #enter(): Promise<void> | undefined {
    if (this.#running > 0) return new Promise((resolve) => this.#waiting.push(resolve))
    this.#running++
    return undefined
  }

  /**
   * A statement that nobody awaited may run on after its connection was released, and take a session then; it is given back as soon as
   * all are over.
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

  /** A transaction that nobody can end any more ends with its session. */
  #letGo(): void {
    this.#session.letGo(this.#transaction.isOpen)
    this.#transaction.abandon()
    this.#place.binding.forget()
  }
}

const leftInSession = new LeftInSession()

const RELEASED = 'This connection was released, and takes no statement any more.'
