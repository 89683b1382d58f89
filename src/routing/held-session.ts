import { discard, markNotOfNode, release, type Session } from '../nodes/session.ts'
import { settingsOf } from '../nodes/session-settings.ts'
import { type SpillGate, WAIT_MS } from '../nodes/spill-gate.ts'
import type { Settings } from '../sql/settings.ts'
import type { Route } from './route.ts'

/**
 * The session that a connection is on, if any. The connection takes it at its first statement, and changes it when it
 * needs another node. In the end it gives the session back to its pool, or closes it if its state is unknown.
 */
export class HeldSession {
  #session: Session | undefined
  #doubt: { readonly because: unknown } | undefined
  /** The spill gate that a read of this connection has passed. It must be left again. */
  #passedGate: SpillGate | undefined
  /** Until when a read waits at a spill gate, by `performance.now()`. */
  #turnUntilMs: number | undefined

  /**
   * Whether something is left in the session that no other client may get. Its holder keeps using it; then it is
   * closed.
   */
  #mustNotBeShared = false

  /** Whether the session may hold advisory locks of its holder, which no other client may get either. */
  mayHoldLocks = false

  readonly #moved: ((session: Session | undefined) => void) | undefined

  /** `moved` is called with each session that the connection takes, and with undefined when it leaves one. */
  constructor(moved?: (session: Session | undefined) => void) {
    this.#moved = moved
  }

  get current(): Session | undefined {
    return this.#session
  }

  /**
   * Whether the session's node was the primary when the session was taken, and is no primary any more. What was left in
   * that session (a setting, a lock, a `begin`) is lost. The next statements must not run on another node as if it were
   * still there.
   */
  get isOfOldPrimary(): boolean {
    return this.#session?.wasPrimary === true && this.#session.node.role !== 'primary'
  }

  /**
   * The session.
   *
   * @throws {Error} if the connection is on none.
   */
  get currentOrThrow(): Session {
    if (this.#session !== undefined) return this.#session
    throw new Error('This connection is on no node: it was released meanwhile.')
  }

  /**
   * The session, if it is on the node of this route and will do. A session that was taken from a replica is read-only,
   * even if the replica was promoted since. So a statement that needs the primary leaves it.
   */
  sessionFor({ node, claim }: Route): Session | undefined {
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

  /** The state of the session is unknown from now on. It must not go back to the pool. */
  mistrust(because: unknown): void {
    this.#doubt ??= { because }
  }

  /** Something may be left in the session that no other client may get. It is closed when its holder leaves it. */
  closeOnceLeft(): void {
    this.#mustNotBeShared = true
  }

  get mustNotBeShared(): boolean {
    return this.#mustNotBeShared
  }

  get isMistrusted(): boolean {
    return this.#doubt !== undefined
  }

  /**
   * A read that no replica could serve waits here for its turn on the primary. Gives false if a replica may serve it
   * now.
   */
  async takeTurn(gate: SpillGate): Promise<boolean> {
    if (this.#passedGate !== undefined) return true
    // A read that was told to try a replica may find none, and come back here. Its wait does not start again.
    this.#turnUntilMs ??= performance.now() + WAIT_MS
    const hasEntered = await gate.enter(Math.max(1, this.#turnUntilMs - performance.now()))
    if (hasEntered) {
      this.#passedGate = gate
      this.#turnUntilMs = undefined
    }
    return hasEntered
  }

  leaveTurn(): void {
    this.#passedGate?.leave()
    this.#passedGate = undefined
  }

  /**
   * Gives back the session, and the turn on the primary. Closes the session if it is in a transaction, which nobody
   * would end.
   */
  letGo(isInTransaction: boolean): void {
    const session = this.#session
    this.leaveTurn()
    if (session === undefined) {
      this.#doubt = undefined
      return
    }
    this.moveAway(isInTransaction, session)
  }

  /** Gives back the session, and keeps the turn. */
  moveAway(isInTransaction: boolean, session = this.#session): void {
    if (session === undefined) return
    const doubt = this.#doubt
    const mustNotBeShared = this.#mustNotBeShared || this.mayHoldLocks
    this.#session = undefined
    this.#doubt = undefined
    this.#mustNotBeShared = false
    this.mayHoldLocks = false
    this.#moved?.(undefined)
    if (doubt === undefined && !mustNotBeShared && !isInTransaction) release(session)
    else discard(session, doubt?.because)
  }

  /** Waits until the application's hooks have prepared the session. If they fail, the session is not used. */
  async prepared(preparing: Promise<void>): Promise<void> {
    try {
      await preparing
    } catch (error) {
      markNotOfNode(error)
      this.mistrust(undefined)
      this.moveAway(false)
      throw error
    }
  }

  /**
   * Rolls the transaction back in the background, and then gives back the session. After the rollback, the settings
   * `before` hold there again. Keeps the turn.
   */
  rollBack(before: Settings): void {
    const session = this.#session
    if (session === undefined) return
    if (this.#doubt !== undefined || this.#mustNotBeShared || this.mayHoldLocks) {
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

  /** Forgets how long its last holder waited for a turn. */
  reset(): void {
    this.#turnUntilMs = undefined
  }
}
