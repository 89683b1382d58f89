import type { RoutingContext } from '../freshness/context.ts'
import { coverUncounted, type RequestMemory, rememberTriedWrite, rememberWrite } from '../freshness/memory.ts'
import type { Position } from '../freshness/position.ts'
import type { TransactionStatus } from '../nodes/session.ts'
import type { Definition, Statement } from '../sql/classifier.ts'
import type { TransactionEffect } from '../sql/statement-text.ts'
import type { CatalogReader } from './catalog-reader.ts'
import type { ContextWatch } from './context-watch.ts'
import { Participants, type Participation } from './participants.ts'

/** Reads the position of what was just committed. Called only if somebody wants to know it. */
export type PositionOfCommit = () => Promise<Position | undefined>

/** How a transaction has ended. `'unknown'`: its commit was lost, or nobody saw its end. */
export type TransactionEnd = 'committed' | 'rolled-back' | 'unknown'

/** The transaction that a connection is in. */
type State =
  | { readonly kind: 'none' }
  | Open
  /** A text that cannot be read may have begun a transaction or ended it, and the driver does not tell. */
  | { readonly kind: 'unknown' }
  /** The transaction was lost, with this error. It stays so until it is rolled back. */
  | { readonly kind: 'lost'; readonly by: unknown }

interface Open {
  readonly kind: 'open'
  readonly participants: Participants
  /** Whether nothing can have been written in it. */
  isHarmless: boolean
  /** Whether a statement in it was refused, so that the server answers its commit with a rollback. */
  hasFailed: boolean
  /** What it has changed in the schema. */
  defined: Definition
}

const NONE: State = { kind: 'none' }

/**
 * What one connection writes, and the transaction that it is in. Both are known from its texts, and from what the
 * server answers. Outside a transaction each write counts at once. Inside it a write counts at the commit, and never
 * after a rollback.
 *
 * A statement is recorded in one of these ways:
 *
 * - `tried`: an attempt to write. The request's reads are fresh, and no pin is set
 * - `add`: a write that counts
 * - `addDoubtful`: a write, unless the server says at the commit that the transaction has written nothing
 * - `addRead`: no write, unless the server says at the commit that the transaction has written
 * - `addUncounted`: it may have written, but does not count. If another write sets a pin, the pin's position covers it
 * - `ignoreId`: it may have given the transaction an id without a write that counts, so the id proves nothing
 */
export class Transaction {
  readonly #cluster: string
  readonly #watch: ContextWatch
  readonly #catalog: Pick<CatalogReader, 'sawDefinition' | 'sawUnexpectedWrite'>
  readonly #ended: (how: TransactionEnd) => void
  #state: State = NONE

  /**
   * `catalog` is told of statements that may have changed the schema, when they ran and when they are committed. It is
   * also told of a transaction that has written although the catalog vouched for all of it. `ended` is called when a
   * transaction is over.
   */
  constructor(
    cluster: string,
    watch: ContextWatch,
    catalog: Pick<CatalogReader, 'sawDefinition' | 'sawUnexpectedWrite'>,
    ended: (how: TransactionEnd) => void = () => {},
  ) {
    this.#cluster = cluster
    this.#watch = watch
    this.#catalog = catalog
    this.#ended = ended
  }

  /** Whether the session is, or may be, in a transaction. Only statements of this connection can end it. */
  get isOpen(): boolean {
    return this.#state.kind !== 'none'
  }

  /**
   * The error with which the transaction was lost; undefined if it was not. Its ROLLBACK fails with this error, too.
   */
  get lost(): { readonly by: unknown } | undefined {
    return this.#state.kind === 'lost' ? this.#state : undefined
  }

  /** Whether a statement in the open transaction was refused. */
  get hasFailed(): boolean {
    return this.#state.kind === 'open' && this.#state.hasFailed
  }

  /** Whether nothing can have been written in the open transaction. */
  get isHarmless(): boolean {
    return this.#state.kind === 'open' && this.#state.isHarmless
  }

  /** Whether the open transaction has changed the schema. Nobody else sees that before it is committed. */
  get hasDefined(): boolean {
    return this.#state.kind === 'open' && this.#state.defined !== 'nothing'
  }

  /** Whether to ask the server, together with the commit, if the transaction has written. */
  get isInQuestion(): boolean {
    const state = this.#state
    return state.kind === 'open' && !state.isHarmless && state.participants.isInQuestion
  }

  /** Whether it is known when a write that is made now will be committed. */
  get knowsCommit(): boolean {
    return this.#state.kind !== 'unknown'
  }

  /**
   * Follows what a statement that the server accepted has done to the transaction. `position` reads the position of
   * what it has committed. `hasWritten` is what the server said of that, if it was asked.
   */
  follow(
    { kind, opens, defines, transaction: effect }: Statement,
    status: TransactionStatus | undefined,
    position: PositionOfCommit | undefined,
    hasWritten?: boolean,
  ): void {
    const before = this.#state
    this.sawDefinition(defines)
    const isAborted = before.kind === 'open' && before.hasFailed && kind === 'session'
    if (before.kind === 'open' && (effect === undefined || effect === 'begins')) {
      // A text of several statements may have ended the transaction, begun another, and written in that.
      if (effect === undefined ? MAY_END_READ_ONLY.has(kind) : kind === 'write') before.isHarmless = false
      // In a failed transaction, the server accepts only a rollback, of all of it or to a savepoint.
      before.hasFailed = false
    }
    const isSame = effect === undefined || (effect === 'begins' && before.kind === 'open')
    if (!isSame) {
      this.#end(endOf(mayCommit(effect) && !isAborted), position, hasWritten)
      this.#state = isOpenAfter(effect, status, before) ? open(opens === 'read-only') : NONE
      if (effect === 'unknown' && status === undefined) this.#state = { kind: 'unknown' }
    } else if (status === 'idle' && before.kind !== 'none') {
      // Something that nobody saw has ended it. What was written counts, and what was set is unknown.
      this.#end('unknown', position)
      this.#state = NONE
    } else if (status !== undefined && status !== 'idle' && before.kind !== 'open') this.#state = open(false)
  }

  /**
   * Follows a statement that failed. In doubt, it has left no transaction. If its connection was lost, what it may have
   * committed counts, and its position is unknown.
   */
  followFailed(
    { kind, transaction: effect }: Statement,
    wasRefused: boolean,
    status: TransactionStatus | undefined,
  ): void {
    const before = this.#state
    const isInOne = status === 'open' || status === 'failed'
    if (before.kind === 'none') {
      // In a text of several statements, one began the transaction before another failed.
      if (wasRefused && isInOne) this.#state = { ...open(false), hasFailed: true }
      return
    }
    if (effect === undefined || effect === 'begins') {
      if (status === 'idle') {
        // Something that nobody saw has ended it.
        this.#ended('unknown')
        this.#state = NONE
      } else if (before.kind === 'open' && wasRefused) before.hasFailed = true
      return
    }
    if (wasRefused && isInOne) {
      // The text has ended no transaction, or has begun another one since. What was written before may still be
      // committed.
      if (kind !== 'session') this.#end(endOf(mayCommit(effect)), undefined)
      this.#state = { ...(before.kind === 'open' ? before : open(false)), isHarmless: false, hasFailed: true }
      return
    }
    // A lone COMMIT that is refused has rolled back. In a text of several statements, the commit may have taken effect.
    this.#end(endOf(mayCommit(effect) && (!wasRefused || kind !== 'session')), undefined)
    this.#state = NONE
  }

  /** Records what may have changed the schema: now, and again when it is committed. */
  sawDefinition(defines: Definition): void {
    if (defines === 'nothing') return
    this.#catalog.sawDefinition(defines)
    if (this.#state.kind === 'open' && this.#state.defined !== 'effects') this.#state.defined = defines
  }

  /** The connection was lost at the commit, with this error. `hasWritten` is what the server said before, if it did. */
  loseCommit(by: unknown, hasWritten: boolean | undefined): void {
    this.#end('unknown', undefined, hasWritten)
    this.#state = { kind: 'lost', by }
  }

  /** The transaction was lost before its commit reached the server, which has rolled it back. */
  loseUnsent(by: unknown): void {
    this.#end('rolled-back', undefined)
    this.#state = { kind: 'lost', by }
  }

  /** The transaction is over, whatever became of it. Its session ends with it. */
  abandon(): void {
    this.#end('rolled-back', undefined)
    this.#state = NONE
  }

  /** Records an attempt to write in `context`, whatever comes of it. */
  tried(context: RoutingContext | undefined): void {
    if (context?.memory === undefined || context.countsWrites === false) return
    rememberTriedWrite(context.memory, this.#cluster)
  }

  /**
   * Records a write that a statement with this effect made in `context`. Without `position`, it is unknown when it is
   * committed.
   */
  add(
    context: RoutingContext | undefined,
    effect: TransactionEffect,
    position: PositionOfCommit | undefined,
  ): void {
    if (context?.countsWrites === false) {
      this.addUncounted(context, effect, position)
      return
    }
    const memory = context?.memory
    this.#record(context, 'wrote', false)
    if (memory === undefined) this.#watch.sawWriteOutside()
    else {
      if (this.#state.kind !== 'open' || mayCommit(effect)) this.#remember(memory, position)
    }
  }

  /**
   * Records a statement that counts unless the server says that it has written nothing. The server could not be asked
   * yet.
   */
  addDoubtful(
    context: RoutingContext | undefined,
    effect: TransactionEffect,
    position: PositionOfCommit | undefined,
  ): void {
    if (this.#state.kind !== 'open') {
      this.tried(context)
      this.add(context, effect, position)
    } else if (context?.countsWrites === false) this.addUncounted(context, effect, position)
    else this.#record(context, 'in-doubt', false)
  }

  /** Records a statement that counts only if the server says, at the commit, that something has written. */
  addRead(context: RoutingContext | undefined, isVouched: boolean): void {
    if (context?.countsWrites !== false) this.#record(context, 'read', isVouched)
  }

  /** A statement may have given the transaction an id without a write that counts. */
  ignoreId(): void {
    if (this.#state.kind === 'open') this.#state.participants.ignoreId()
  }

  /** Records a statement that may have written, but does not count. `position` is as for {@link add}. */
  addUncounted(
    context: RoutingContext | undefined,
    effect: TransactionEffect,
    position: PositionOfCommit | undefined,
  ): void {
    if (context?.countsWrites === false) this.ignoreId()
    const memory = context?.memory
    if (memory === undefined || !memory.wantsPositions) return
    if (this.#state.kind === 'open') this.#state.participants.addUncounted(memory)
    if (this.#state.kind !== 'open' || mayCommit(effect)) coverUncounted(memory, this.#cluster, position)
  }

  #record(context: RoutingContext | undefined, participation: Participation, isVouched: boolean): void {
    if (this.#state.kind === 'open') this.#state.participants.add(context?.memory, participation, isVouched)
  }

  /** The transaction is over. Counts what was written in it, if that may be committed. */
  #end(how: TransactionEnd, position: PositionOfCommit | undefined, hasWritten?: boolean): void {
    if (this.#state.kind !== 'none') this.#ended(how)
    if (this.#state.kind !== 'open') return
    const isCommitted = how !== 'rolled-back'
    const { participants, defined } = this.#state
    if (defined !== 'nothing') this.#catalog.sawDefinition(defined)
    if (!isCommitted) {
      for (const memory of participants.attempts()) rememberTriedWrite(memory, this.#cluster)
      return
    }
    const { wrote, uncounted, isUnexpected } = participants.decide(hasWritten)
    for (const memory of wrote) {
      if (memory === undefined) this.#watch.sawWriteOutside()
      else this.#remember(memory, position)
    }
    for (const memory of uncounted) coverUncounted(memory, this.#cluster, position)
    if (isUnexpected) this.#catalog.sawUnexpectedWrite()
  }

  #remember(memory: RequestMemory, position: PositionOfCommit | undefined): void {
    rememberWrite(memory, this.#cluster, memory.wantsPositions ? position?.() : undefined)
  }
}

function open(isHarmless: boolean): Open {
  return {
    kind: 'open',
    participants: new Participants(),
    isHarmless,
    hasFailed: false,
    defined: 'nothing',
  }
}

function endOf(isCommitted: boolean): TransactionEnd {
  return isCommitted ? 'committed' : 'rolled-back'
}

function mayCommit(effect: TransactionEffect): boolean {
  return effect === 'commits' || effect === 'commits-and-begins' || effect === 'unknown'
}

function isOpenAfter(
  effect: TransactionEffect,
  status: TransactionStatus | undefined,
  before: State,
): boolean {
  if (status !== undefined) return status !== 'idle'
  if (effect === 'unknown') return before.kind === 'open'
  return effect === 'begins' || effect === 'commits-and-begins'
}

/** After a statement of these kinds, a transaction that began as read-only may be one that writes. */
const MAY_END_READ_ONLY: ReadonlySet<Statement['kind']> = new Set<Statement['kind']>([
  'session',
  'function',
  'write',
])
