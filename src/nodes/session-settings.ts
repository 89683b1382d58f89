import { mayKeepSettings } from '../sql/kept-settings.ts'
import { readSettingChanges } from '../sql/setting-changes.ts'
import { knownChange, Settings } from '../sql/settings.ts'
import type { ClientClass, PoolClientLike } from './pool.ts'
import { canSendAhead, sendAhead } from './sent-ahead.ts'

/**
 * What the session of one client is set to, and what whoever holds it wants it to be set to. The difference is laid on it with the next
 * statement that anybody sends: no session carries what one client has set to another.
 */
export class SessionSettings {
  readonly #client: PoolClientLike
  #has = Settings.NONE
  #wants = Settings.NONE
  /** What the application has set in it by itself, as it was connected: a hook of the pool's, say. */
  #own = Settings.NONE
  /** Whether that cannot be told. */
  #isOpaque = false
  #isHeld = false
  #isOnReplica = false
  #failure: { readonly error: unknown } | undefined

  constructor(client: PoolClientLike) {
    this.#client = client
  }

  /** It is held by a client that wants this; true where the session has to be set to it first. */
  hold(wants: Settings, isOnReplica: boolean): boolean {
    this.#isHeld = true
    this.#isOnReplica = isOnReplica
    this.#wants = wants
    return this.#has !== wants
  }

  /** Its holder has set it to this by itself. */
  wasSet(to: Settings): void {
    this.#has = to
    this.#wants = to
  }

  /** It is nobody's; false where it cannot be rid of what it has. */
  letGo(): boolean {
    this.#isHeld = false
    this.#wants = Settings.NONE
    return this.#has === Settings.NONE || !this.#isOpaque
  }

  /** The error with which the session refused what was laid on it; undefined where it did not. What was sent behind it never ran. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure
  }

  /** What whoever holds it wants the session to be set to. */
  get wanted(): Settings {
    return this.#wants
  }

  /** Whether the next statement needs nothing in front of it. */
  get isAsWanted(): boolean {
    return this.#has === this.#wants
  }

  /** Whether whoever sends something has taken it by this package. */
  get isHeld(): boolean {
    return this.#isHeld
  }

  /** Has the next statement that is sent set the session to what is wanted. */
  layOn(sendQuery: (text: string, callback: (error: unknown) => void) => void): void {
    const wanted = this.#wants
    const statements = wanted.statementsAfter(this.#has, this.#own, this.#isOnReplica)
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
    // Something is under way that nobody waits for: what comes next must not overtake it, nor run where this is refused.
    else {
      sendQuery(statements.join('; '), (error) => {
        answered(error)
        if (error) this.#client.connection?.stream?.destroy()
      })
      this.#has = wanted
    }
  }

  /** Somebody else uses the session: what the application sets there by itself is what the session has of its own accord. */
  sawOther([query, values]: readonly unknown[]): void {
    const { text, values: its } = (typeof query === 'object' && query !== null ? query : { text: query }) as {
      text?: unknown
      values?: unknown
    }
    if (typeof text !== 'string') return
    const changes = readSettingChanges(text)?.map((change) =>
      knownChange(change, (its ?? values) as unknown[]),
    )
    if (changes === undefined && mayKeepSettings(text)) this.#isOpaque = true
    for (const change of changes ?? []) {
      if (change === undefined) this.#isOpaque = true
      else this.#own = this.#own.with(change)
    }
  }

  #failed(error: unknown): void {
    this.#failure = { error }
    // Nobody else may have it, whoever it is that gives it back.
    if (!this.#isHeld) this.#client.connection?.once?.('readyForQuery', () => this.#client.end?.())
  }
}

const CARRIES = Symbol('write-pinning.carries-settings')

/** A client whose session is set to what its holder wants. */
interface SettingClient extends PoolClientLike {
  readonly sessionSettings: SessionSettings | undefined
}

/** Whether the sessions of a pool's clients can be set to what their holders want. */
export function isSettingClass(Client: unknown): boolean {
  return typeof Client === 'function' && CARRIES in Client
}

/** The settings of a client's session; undefined where nothing can be laid on it: only those can that {@link settingClient} has made able to. */
export function settingsOf(client: object): SessionSettings | undefined {
  return (client as Partial<SettingClient>).sessionSettings
}

/** The class of a pool's clients, whose sessions are set to what their holders want, where it is one of `pg`'s that speak the protocol themselves. */
export function settingClient(Given: ClientClass): ClientClass {
  if (!speaksProtocol(Given)) return Given
  return class extends Given implements SettingClient {
    static readonly [CARRIES] = true
    // What is sent before the answer to the last statement would overtake what is laid ahead of it.
    readonly sessionSettings = this.pipeline === true ? undefined : new SessionSettings(this)

    override query(...args: readonly unknown[]): unknown {
      const { sessionSettings: settings } = this
      if (settings === undefined) return super.query(...args)
      if (!settings.isAsWanted) settings.layOn((text, callback) => super.query(text, callback))
      if (!settings.isHeld) settings.sawOther(args)
      return super.query(...args)
    }
  }
}

function speaksProtocol(Given: ClientClass): boolean {
  const { Query } = Given as { readonly Query?: unknown }
  return typeof Query === 'function' && 'requiresPreparation' in Query.prototype
}
