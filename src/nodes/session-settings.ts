import { readSettingChanges } from '../sql/setting-changes.ts'
import { knownChange, Settings } from '../sql/settings.ts'
import { maySetUnfollowed } from '../sql/unfollowed-settings.ts'
import type { ClientClass, PoolClientLike } from './pool.ts'
import { canSendAhead, sendAhead } from './sent-ahead.ts'

/**
 * What the session of one client is set to, and what its holder wants it to be set to. The difference is sent ahead of
 * the next statement. So no client ever meets what another one has set.
 */
export class SessionSettings {
  readonly #client: PoolClientLike
  #has = Settings.NONE
  #wants = Settings.NONE
  /** What the application itself set in the session when it connected, such as in a hook of the pool. */
  #ofApplication = Settings.NONE
  /** Whether the application has set something there that cannot be read from its text. */
  #isUnreadable = false
  #isHeld = false
  #isOnReplica = false
  #failure: { readonly error: unknown } | undefined

  constructor(client: PoolClientLike) {
    this.#client = client
  }

  /** A client takes the session, and wants these settings. True if the session must be set to them first. */
  hold(wants: Settings, isOnReplica: boolean): boolean {
    this.#isHeld = true
    this.#isOnReplica = isOnReplica
    this.#wants = wants
    return this.#has !== wants
  }

  /** The client that holds the session has set it to this by itself. */
  wasSet(to: Settings): void {
    this.#has = to
    this.#wants = to
  }

  /** The client gives the session back. False if its settings cannot be reset. */
  letGo(): boolean {
    this.#isHeld = false
    this.#wants = Settings.NONE
    return this.#has === Settings.NONE || !this.#isUnreadable
  }

  /**
   * The error with which the session refused the settings that were sent ahead; undefined if it did not. What was sent
   * after them never ran.
   */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure
  }

  /** What the session's holder wants it to be set to. */
  get wanted(): Settings {
    return this.#wants
  }

  /** Whether nothing has to be sent ahead of the next statement. */
  get isAsWanted(): boolean {
    return this.#has === this.#wants
  }

  /** Whether a client of this package holds the session; otherwise the application uses it directly. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Sends, ahead of the next statement, what sets the session to what is wanted. */
  sendAheadOfNext(sendQuery: (text: string, callback: (error: unknown) => void) => void): void {
    const wanted = this.#wants
    const statements = wanted.statementsAfter(this.#has, this.#ofApplication, this.#isOnReplica)
    if (statements.length === 0) {
      this.#has = wanted
      return
    }
    const answered = (error: unknown) => {
      if (error) this.#failed(error)
      else this.#has = wanted
    }
    const { connection, readyForQuery } = this.#client
    if (readyForQuery === true && canSendAhead(connection)) sendAhead(connection, statements, answered)
    // A statement is under way that its caller does not wait for. The settings must not overtake it, and what comes
    // next must not run if they are refused.
    else {
      sendQuery(statements.join('; '), (error) => {
        answered(error)
        if (error) this.#client.connection?.stream?.destroy()
      })
      this.#has = wanted
    }
  }

  /**
   * The application uses the session directly. What it sets there is part of the session from now on: resetting goes
   * back to that.
   */
  sawDirectUse([query, values]: readonly unknown[]): void {
    const { text, values: its } = (typeof query === 'object' && query !== null ? query : { text: query }) as {
      text?: unknown
      values?: unknown
    }
    if (typeof text !== 'string') return
    const changes = readSettingChanges(text)?.map((change) =>
      knownChange(change, (its ?? values) as unknown[]),
    )
    if (changes === undefined && maySetUnfollowed(text)) this.#isUnreadable = true
    for (const change of changes ?? []) {
      if (change === undefined) this.#isUnreadable = true
      else this.#ofApplication = this.#ofApplication.with(change)
    }
  }

  #failed(error: unknown): void {
    this.#failure = { error }
    // No other client may get this session, so it ends by itself.
    if (!this.#isHeld) this.#client.connection?.once?.('readyForQuery', () => this.#client.end?.())
  }
}

const CARRIES = Symbol('write-pinning.carries-settings')

/** A client whose session is set to what its holder wants. */
interface SettingClient extends PoolClientLike {
  readonly sessionSettings: SessionSettings | undefined
}

/** Whether the sessions of this class of clients can be set to what their holders want. */
export function isSettingClass(Client: unknown): boolean {
  return typeof Client === 'function' && CARRIES in Client
}

/**
 * The settings of a client's session; undefined if they cannot be set. {@link settingClient} makes clients whose
 * settings can.
 */
export function settingsOf(client: object): SessionSettings | undefined {
  return (client as Partial<SettingClient>).sessionSettings
}

/**
 * Extends a pool's client class so that sessions are set to what their holders want. Gives the class unchanged if it
 * is not one of `pg`'s that speak the protocol themselves.
 */
export function settingClient(Given: ClientClass): ClientClass {
  if (!speaksProtocol(Given)) return Given
  return class extends Given implements SettingClient {
    static readonly [CARRIES] = true
    // With `pipeline`, a statement that is sent before the last answer would overtake what is sent ahead of it.
    readonly sessionSettings = this.pipeline === true ? undefined : new SessionSettings(this)

    override query(...args: readonly unknown[]): unknown {
      const { sessionSettings: settings } = this
      if (settings === undefined) return super.query(...args)
      if (!settings.isAsWanted) settings.sendAheadOfNext((text, callback) => super.query(text, callback))
      if (!settings.isHeld) settings.sawDirectUse(args)
      return super.query(...args)
    }
  }
}

function speaksProtocol(Given: ClientClass): boolean {
  const { Query } = Given as { readonly Query?: unknown }
  return typeof Query === 'function' && 'requiresPreparation' in Query.prototype
}
