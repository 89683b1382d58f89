import { type SpillGate, WAIT_MS } from '../nodes/spill-gate.ts'
import type { AbortOptions, Acquisition, NodeDriver, Session } from './node-driver.ts'
import type { Route } from './route.ts'

/**
 * The session that a connection is on, if any: bound at its first statement, moved to another node where one is needed,
 * and given back to its pool, or ended where nobody knows what state it is in.
 */
export class ConnectionSession {
  #session: Session | undefined
  #doubt: { readonly because: unknown } | undefined
  #wantsInfo = false
  /** The gate to the primary that it has passed, and has to leave again. */
  #turn: SpillGate | undefined
  /** Until when it waits for that. */
  #turnUntilMs: number | undefined

  get current(): Session | undefined {
    return this.#session
  }

  get node(): NodeDriver | undefined {
    return this.#session?.node
  }

  /**
   * Whether it is on a node that was the primary when it came there, and is not any more. What was left in that session (a setting, a
   * lock, a `begin`) is gone with it: nothing may go on elsewhere as if it were there.
   */
  get isOfOldPrimary(): boolean {
    return this.#session?.wasPrimary === true && this.#session.node.role !== 'primary'
  }

  /** The session, for what needs one that is there already. */
  get bound(): Session {
    if (this.#session !== undefined) return this.#session
    throw new Error(
      'This connection is on no node: no transaction was begun on it, or it was released meanwhile.',
    )
  }

  /**
   * The session, if it is on the node of this route and will do there: what was taken of a replica is read-only, also where that has been
   * promoted since. A statement that needs the primary leaves such a session as it would leave a replica's.
   */
  on({ node, claim }: Route): Session | undefined {
    if (this.#session?.node !== node) return undefined
    const isOfReplica = claim.kind === 'primary' && node.role === 'primary' && !this.#session.wasPrimary
    return isOfReplica ? undefined : this.#session
  }

  /**
   * Begins to acquire the first session; undefined where there is one already, or more has to be known of it. Nearly every
   * query is the first on its connection, and each promise on its way costs: so its caller awaits Kysely's own.
   */
  beginFirst(node: NodeDriver, options?: AbortOptions): Acquisition | undefined {
    return this.#session === undefined && !this.#wantsInfo ? node.beginAcquire(options) : undefined
  }

  /** Takes what {@link beginFirst} has acquired; undefined, and gives it back, where another statement was faster. */
  take(session: Session, options?: AbortOptions): Session | undefined {
    if (this.#session !== undefined) {
      void session.node.release(session)
      return undefined
    }
    this.#session = session
    this.#turnUntilMs = undefined
    // The query may have been given up on while it waited for a connection.
    options?.signal?.throwIfAborted()
    return session
  }

  /** A session on this node, in place of the one before; undefined where another statement was faster. */
  async moveTo(
    node: NodeDriver,
    isInTransaction: boolean,
    options?: AbortOptions,
  ): Promise<Session | undefined> {
    await this.#giveBack(isInTransaction)
    const session = this.take(await node.acquire(options), options)
    if (session !== undefined && this.#wantsInfo) await session.connection.collectSessionInfo?.()
    return session
  }

  /** Nobody knows any more what state the session is in: it must not go back to the pool. */
  mistrust(because: unknown): void {
    this.#doubt ??= { because }
  }

  get isMistrusted(): boolean {
    return this.#doubt !== undefined
  }

  /** Waits for a turn on the primary, for a read that no replica could serve; false where one may by now. */
  async takeTurn(gate: SpillGate): Promise<boolean> {
    if (this.#turn !== undefined) return true
    // Whoever is told to look elsewhere, in vain, does not begin to wait anew.
    this.#turnUntilMs ??= performance.now() + WAIT_MS
    const hasEntered = await gate.enter(Math.max(1, this.#turnUntilMs - performance.now()))
    if (hasEntered) {
      // Another statement of this connection may have entered meanwhile: one turn is enough.
      if (this.#turn !== undefined) gate.leave()
      this.#turn = gate
      this.#turnUntilMs = undefined
    }
    return hasEntered
  }

  leaveTurn(): void {
    this.#turn?.leave()
    this.#turn = undefined
  }

  /** Gives the session back, and its turn on the primary, whatever became of that meanwhile. */
  letGo(isInTransaction: boolean): Promise<void> {
    if (this.#session === undefined) return NOTHING_TO_DO
    this.leaveTurn()
    return this.#giveBack(isInTransaction)
  }

  #giveBack(isInTransaction: boolean): Promise<void> {
    const session = this.#session
    if (session === undefined) return NOTHING_TO_DO
    const doubt = this.#doubt
    this.#session = undefined
    this.#doubt = undefined
    if (doubt === undefined && !isInTransaction) return session.node.release(session)
    return session.node.discard(session, doubt?.because)
  }

  /** From now on its process id is known, so that it can be cancelled or killed. */
  async collectInfo(): Promise<void> {
    this.#wantsInfo = true
    await this.#session?.connection.collectSessionInfo?.()
  }

  /** Forgets what was wanted by whom it was lent to before. */
  reset(): void {
    this.#wantsInfo = false
    this.#turnUntilMs = undefined
  }
}

const NOTHING_TO_DO = Promise.resolve()
