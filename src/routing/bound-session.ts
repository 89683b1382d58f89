import { discard, isNotOfNode, release, type Session } from '../nodes/session.ts'
import { settingsOf } from '../nodes/session-settings.ts'
import { type SpillGate, WAIT_MS } from '../nodes/spill-gate.ts'
import type { Settings } from '../sql/settings.ts'
import type { Route } from './route.ts'

/**
 * The session that a connection is on, if any: bound at its first statement, moved to another node where one is needed,
 * and given back to its pool, or ended where nobody knows what state it is in.
 */
export class BoundSession {
  #session: Session | undefined
  #doubt: { readonly because: unknown } | undefined
  /** The gate to the primary that it has passed, and has to leave again. */
  #turn: SpillGate | undefined
  /** Until when it waits for that. */
  #turnUntilMs: number | undefined

  /** Whether it has something that no other client may meet, though its holder may go on with it. */
  #isOnlyHolders = false

  readonly #moved: ((session: Session | undefined) => void) | undefined

  /** `moved` is told of each session that it comes to, and of undefined as it leaves one. */
  constructor(moved?: (session: Session | undefined) => void) {
    this.#moved = moved
  }

  get current(): Session | undefined {
    return this.#session
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
    throw new Error('This connection is on no node: it was released meanwhile.')
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

  take(session: Session): Session {
    this.#session = session
    this.#turnUntilMs = undefined
    this.#moved?.(session)
    return session
  }

  /** Nobody knows any more what state the session is in: it must not go back to the pool. */
  mistrust(because: unknown): void {
    this.#doubt ??= { because }
  }

  /** It may have something by now that no other client may meet: it is closed once its holder leaves it. */
  closeOnceLeft(): void {
    this.#isOnlyHolders = true
  }

  get isOnlyHolders(): boolean {
    return this.#isOnlyHolders
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
      this.#turn = gate
      this.#turnUntilMs = undefined
    }
    return hasEntered
  }

  leaveTurn(): void {
    this.#turn?.leave()
    this.#turn = undefined
  }

  /** Gives the session back, and its turn on the primary; where it is in a transaction that nobody will end, it ends with it. */
  letGo(isInTransaction: boolean): void {
    const session = this.#session
    this.leaveTurn()
    if (session === undefined) {
      this.#doubt = undefined
      return
    }
    this.moveAway(isInTransaction, session)
  }

  /** Gives the session back, and keeps the turn. */
  moveAway(isInTransaction: boolean, session = this.#session): void {
    if (session === undefined) return
    const doubt = this.#doubt
    const isOnlyHolders = this.#isOnlyHolders
    this.#session = undefined
    this.#doubt = undefined
    this.#isOnlyHolders = false
    this.#moved?.(undefined)
    if (doubt === undefined && !isOnlyHolders && !isInTransaction) release(session)
    else discard(session, doubt?.because)
  }

  /** Waits until the session is as the application's hooks want it; one that they fail is not used. */
  async prepared(preparing: Promise<void>): Promise<void> {
    try {
      await preparing
    } catch (error) {
      isNotOfNode(error)
      this.mistrust(undefined)
      this.moveAway(false)
      throw error
    }
  }

  /**
   * Gives the session back once the transaction that it is in is rolled back, to what was set before it; nobody waits for that. Keeps the
   * turn.
   */
  rollBack(before: Settings): void {
    const session = this.#session
    if (session === undefined) return
    if (this.#doubt !== undefined || this.#isOnlyHolders) {
      this.moveAway(true)
      return
    }
    this.#session = undefined
    this.#moved?.(undefined)
    const rolledBack = session.client.query('rollback') as Promise<unknown>
    settingsOf(session.client)?.wasSet(before)
    rolledBack.then(
      () => release(session),
      (error: unknown) => discard(session, error),
    )
  }

  /** Forgets what was wanted by whom it was lent to before. */
  reset(): void {
    this.#turnUntilMs = undefined
  }
}
