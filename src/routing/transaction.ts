import type { RoutingContext } from '../freshness/context.ts'
import { coverUncounted, type RequestMemory, rememberAttempt, rememberWrite } from '../freshness/memory.ts'
import type { Position } from '../freshness/position.ts'
import type { TransactionStatus } from '../nodes/session.ts'
import type { Definition, Statement } from '../sql/classifier.ts'
import type { TransactionEffect } from '../sql/statement-text.ts'
import type { CatalogReader } from './catalog-reader.ts'
import type { ContextWatch } from './context-watch.ts'
import { type Part, Participants } from './participants.ts'

/** Reads the position of what has just been committed; asked only for those who want to know it. */
export type PositionOfCommit = () => Promise<Position | undefined>

/** How a transaction has ended: of one whose commit was lost nobody knows. */
export type TransactionEnd = 'committed' | 'rolled-back' | 'unknown'

/** The transaction that a connection is in. */
type State =
  | { readonly kind: 'none' }
  | Open
  /** A text that cannot be read may have begun one, or ended it, and the driver does not tell. */
  | { readonly kind: 'unknown' }
  /** The connection was lost at its commit, until it is rolled back. */
  | { readonly kind: 'lost'; readonly by: unknown }

interface Open {
  readonly kind: 'open'
  readonly participants: Participants
  /** Whether nothing can have been written in it. */
  isHarmless: boolean
  /** Whether a statement in it was refused, so that the server answers its commit with a rollback. */
  hasFailed: boolean
  /** What it has defined. */
  defined: Definition
}

const NONE: State = { kind: 'none' }

/**
 * What one connection writes, and the transaction that it is in, as its texts and the server tell: outside a transaction each write counts
 * at once, inside it when it commits, and never where it rolls back. What may have written and does not count is covered by the position
 * of what does.
 */
export class Transaction {
  readonly #cluster: string
  readonly #watch: ContextWatch
  readonly #catalog: Pick<CatalogReader, 'sawDefinition' | 'sawSurprise'>
  readonly #ended: (how: TransactionEnd) => void
  #state: State = NONE

  /**
   * `catalog` hears of statements that may have changed the schema, when they ran and when they are committed; and of a transaction that
   * has written although all in it was known to read only. `ended` is told whenever a transaction is over.
   */
  constructor(
    cluster: string,
    watch: ContextWatch,
    catalog: Pick<CatalogReader, 'sawDefinition' | 'sawSurprise'>,
    ended: (how: TransactionEnd) => void = () => {},
  ) {
    this.#cluster = cluster
    this.#watch = watch
    this.#catalog = catalog
    this.#ended = ended
  }

  /** Whether its session is in a transaction, or may be, that nobody but its own statements may end. */
  get isOpen(): boolean {
    return this.#state.kind !== 'none'
  }

  /** With what its commit was lost: what is told to whoever rolls it back then. */
  get lost(): { readonly by: unknown } | undefined {
    return this.#state.kind === 'lost' ? this.#state : undefined
  }

  /** Whether a statement in the transaction that is open was refused. */
  get hasFailed(): boolean {
    return this.#state.kind === 'open' && this.#state.hasFailed
  }

  /** Whether nothing can have been written in the transaction that is open. */
  get isHarmless(): boolean {
    return this.#state.kind === 'open' && this.#state.isHarmless
  }

  /** Whether it has changed the schema for itself alone: nobody else sees that until it is committed. */
  get hasDefined(): boolean {
    return this.#state.kind === 'open' && this.#state.defined !== 'nothing'
  }

  /** Whether the server is to be asked, with its commit, whether it has written. */
  get isInQuestion(): boolean {
    const state = this.#state
    return state.kind === 'open' && !state.isHarmless && state.participants.isInQuestion
  }

  /** Whether anybody knows when what is written now is committed. */
  get isKnown(): boolean {
    return this.#state.kind !== 'unknown'
  }

  /**
   * Follows what a statement that the server accepted has done to the transaction; `position` is that of what it has committed, and
   * `hasWritten` what the server said of that, where it was asked.
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
      // A text of several may have ended one, begun another, and written in that.
      if (effect === undefined ? BREAKS.has(kind) : kind === 'write') before.isHarmless = false
      // In one that has failed the server accepts nothing but what rolls back, wholly or to a savepoint.
      before.hasFailed = false
    }
    const isSame = effect === undefined || (effect === 'begins' && before.kind === 'open')
    if (!isSame) {
      this.#end(endOf(mayCommit(effect) && !isAborted), position, hasWritten)
      this.#state = isOpenAfter(effect, status, before) ? open(opens === 'read-only') : NONE
      if (effect === 'unknown' && status === undefined) this.#state = { kind: 'unknown' }
    } else if (status === 'idle' && before.kind !== 'none') {
      // It was ended by what nobody saw: what was written counts, and what was set is not known.
      this.#end('unknown', position)
      this.#state = NONE
    } else if (status !== undefined && status !== 'idle' && before.kind !== 'open') this.#state = open(false)
  }

  /**
   * The same of a statement that failed: in doubt, it has left no transaction. Where it was lost, what it may have committed
   * counts, and nobody knows its position.
   */
  followFailed(
    { kind, transaction: effect }: Statement,
    wasRefused: boolean,
    status: TransactionStatus | undefined,
  ): void {
    const before = this.#state
    const isInOne = status === 'open' || status === 'failed'
    if (before.kind === 'none') {
      // Several statements in one text: it was begun by one of them before another failed.
      if (wasRefused && isInOne) this.#state = { ...open(false), hasFailed: true }
      return
    }
    if (effect === undefined || effect === 'begins') {
      if (status === 'idle') {
        // It was ended by what nobody saw.
        this.#ended('unknown')
        this.#state = NONE
      } else if (before.kind === 'open' && wasRefused) before.hasFailed = true
      return
    }
    if (wasRefused && isInOne) {
      // It has ended nothing, or has begun another since: what was written before may be committed yet.
      if (kind !== 'session') this.#end(endOf(mayCommit(effect)), undefined)
      this.#state = { ...(before.kind === 'open' ? before : open(false)), isHarmless: false, hasFailed: true }
      return
    }
    // A commit that is refused by itself has rolled back; among several statements it may have been done.
    this.#end(endOf(mayCommit(effect) && (!wasRefused || kind !== 'session')), undefined)
    this.#state = NONE
  }

  /** Takes note of what may have changed the schema: it is known as that at once, and once more when it is committed. */
  sawDefinition(defines: Definition): void {
    if (defines === 'nothing') return
    this.#catalog.sawDefinition(defines)
    if (this.#state.kind === 'open' && this.#state.defined !== 'effects') this.#state.defined = defines
  }

  /** Its commit was lost, by this error; the server may have said before whether it wrote. */
  loseCommit(by: unknown, hasWritten: boolean | undefined): void {
    this.#end('unknown', undefined, hasWritten)
    this.#state = { kind: 'lost', by }
  }

  /** Its commit never reached the server, which has ended it before. */
  loseUnsent(by: unknown): void {
    this.#end('rolled-back', undefined)
    this.#state = { kind: 'lost', by }
  }

  /** It is over, whatever became of it: its session ends with it. */
  abandon(): void {
    this.#end('rolled-back', undefined)
    this.#state = NONE
  }

  /** Records an attempt to write in `context`, whatever comes of it. */
  tried(context: RoutingContext | undefined): void {
    if (context?.memory === undefined || context.countsWrites === false) return
    rememberAttempt(context.memory, this.#cluster)
  }

  /** Records a write that was made in `context` by a statement with this effect; without `position` nobody knows when it is committed. */
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
    this.#took(context, 'wrote', false)
    if (memory === undefined) this.#watch.sawWriteOutside()
    else {
      if (this.#state.kind !== 'open' || mayCommit(effect)) this.#remember(memory, position)
    }
  }

  /** Records a statement that counts unless the server says that it has written nothing, and that nobody could ask about yet. */
  addDoubtful(
    context: RoutingContext | undefined,
    effect: TransactionEffect,
    position: PositionOfCommit | undefined,
  ): void {
    if (this.#state.kind !== 'open') {
      this.tried(context)
      this.add(context, effect, position)
    } else if (context?.countsWrites === false) this.addUncounted(context, effect, position)
    else this.#took(context, 'in-doubt', false)
  }

  /** Records a statement that does not count unless the server says, with the commit, that something has written. */
  addRead(context: RoutingContext | undefined, isVouched: boolean): void {
    if (context?.countsWrites !== false) this.#took(context, 'read', isVouched)
  }

  /** A statement may have given the transaction an id without a write that counts. */
  blur(): void {
    if (this.#state.kind === 'open') this.#state.participants.blur()
  }

  /** Records a statement that may have written, and does not count; `position` is that of a write. */
  addUncounted(
    context: RoutingContext | undefined,
    effect: TransactionEffect,
    position: PositionOfCommit | undefined,
  ): void {
    if (context?.countsWrites === false) this.blur()
    const memory = context?.memory
    if (memory === undefined || !memory.wantsPositions) return
    if (this.#state.kind === 'open') this.#state.participants.cover(memory)
    if (this.#state.kind !== 'open' || mayCommit(effect)) coverUncounted(memory, this.#cluster, position)
  }

  #took(context: RoutingContext | undefined, part: Part, isVouched: boolean): void {
    if (this.#state.kind === 'open') this.#state.participants.took(context?.memory, part, isVouched)
  }

  /** Counts what was written in the transaction that is open, where that may be committed. */
  #end(how: TransactionEnd, position: PositionOfCommit | undefined, hasWritten?: boolean): void {
    if (this.#state.kind !== 'none') this.#ended(how)
    if (this.#state.kind !== 'open') return
    const isCommitted = how !== 'rolled-back'
    const { participants, defined } = this.#state
    if (defined !== 'nothing') this.#catalog.sawDefinition(defined)
    if (!isCommitted) {
      for (const memory of participants.attempts()) rememberAttempt(memory, this.#cluster)
      return
    }
    const { wrote, uncounted, isSurprising } = participants.judge(hasWritten)
    for (const memory of wrote) {
      if (memory === undefined) this.#watch.sawWriteOutside()
      else this.#remember(memory, position)
    }
    for (const memory of uncounted) coverUncounted(memory, this.#cluster, position)
    if (isSurprising) this.#catalog.sawSurprise()
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

/** After these a transaction that began as a read-only one may be one that writes. */
const BREAKS: ReadonlySet<Statement['kind']> = new Set<Statement['kind']>(['session', 'function', 'write'])
