import { warn } from '../diagnostics.ts'
import { refusesOptions } from './error-meaning.ts'
import type { ClientClass, PoolClientLike, PoolLike } from './pool.ts'

/**
 * A start-up option, and never a `SET`, which a pooler in between would leak to other clients
 * (https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-DEFAULT-TRANSACTION-READ-ONLY).
 */
const READ_ONLY = '-c default_transaction_read_only=on'

/**
 * A hot standby refuses every statement of a serializable transaction, so a session that is serializable by default is of no use there:
 * repeatable read is the most that it has
 * (https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-CAVEATS). A space within an option has a backslash before it.
 */
const REPEATABLE_READ = '-c default_transaction_isolation=repeatable\\ read'

/** What `pg` makes its connections of. */
interface ConnectionOptions {
  options?: string | undefined
  connectionString?: string | undefined
}

/** What is demanded of the sessions of a pool. */
export interface SessionDemands {
  readonly isReadOnly: boolean
  /** Whether the server may be a hot standby, which has no serializable sessions. */
  readonly isOnReplica: boolean
}

/**
 * Sees to it that the sessions of a replica's pool are read-only, also where the server is not one: a replica that is the
 * primary itself (local development), or that has just been promoted. And that none is serializable by default, which a replica refuses.
 */
export class ReplicaSessions {
  readonly #node: string
  readonly #options: ConnectionOptions
  readonly #before: ConnectionOptions
  readonly #optionsOfAll: () => string
  #demands: SessionDemands = NO_DEMANDS
  /** Whether its sessions would be serializable by themselves. */
  #isSerializable: boolean
  #wasDemanded = false
  #isRefused = false
  #isDropped = false

  constructor(node: string, pool: PoolLike) {
    this.#node = node
    this.#options = (pool.options ?? {}) as ConnectionOptions
    this.#before = asGiven(this.#options)
    this.#optionsOfAll = () => optionsOfAll(pool)
    this.#isSerializable = saysSerializable(optionsOf(this.#before, this.#optionsOfAll()))
  }

  /** Demands something of the sessions from now on: a replica becomes the primary, or the other way round. */
  set(demands: SessionDemands): void {
    this.#demands = demands
    if (this.#isRefused) return
    if (demands.isReadOnly || this.#avoidsSerializable) this.#demand()
    else if (this.#wasDemanded) this.#restore()
  }

  /**
   * Learns from its server that sessions are serializable, by its configuration, or that of the role or database. True where that was not
   * known, and they will be otherwise from now on.
   */
  learnSerializable(): boolean {
    if (this.#isSerializable) return false
    this.#isSerializable = true
    this.set(this.#demands)
    return this.#avoidsSerializable && !this.#isRefused
  }

  /** Whether a session of the pool's is what is demanded now; it may have been opened before that was known. */
  isAsDemanded({ connectionParameters }: PoolClientLike): boolean {
    if (connectionParameters === undefined || this.#isRefused) return true
    const { options = '' } = connectionParameters
    if (this.#avoidsSerializable && !options.endsWith(REPEATABLE_READ)) return false
    return options.includes(READ_ONLY) === this.#demands.isReadOnly
  }

  /**
   * Does without, where a pooler refuses the start-up option: its sessions are read-only where the server is a
   * hot standby, and nowhere else. True where that was why connecting failed, so that it is worth another try; others may
   * have been connecting at the same time.
   */
  doWithout(error: unknown): boolean {
    if (!refusesOptions(error)) return false
    if (!this.#wasDemanded) return false
    this.#isRefused = true
    if (!this.#isDemanded) return true
    this.#restore()
    if (this.#demands.isReadOnly) this.#warn('refuses the start-up parameter `options`')
    return true
  }

  /** Hears what a session of this node's is; says once where a pooler takes the start-up option and drops it. */
  heard({ connectionParameters }: Pick<PoolClientLike, 'connectionParameters'>, isReadOnly: boolean): void {
    if (isReadOnly || this.#isDropped || !connectionParameters?.options?.includes(READ_ONLY)) return
    this.#isDropped = true
    this.#warn('drops the start-up parameter `options`')
  }

  #warn(what: string): void {
    warn(
      'WRITE_PINNING_NOT_READ_ONLY',
      `The pooler before '${this.#node}' ${what}, so its sessions are not made read-only: ` +
        'should that node be promoted, or be no replica, they could write.',
    )
  }

  get #avoidsSerializable(): boolean {
    return this.#demands.isOnReplica && this.#isSerializable
  }

  get #isDemanded(): boolean {
    return this.#options.options !== this.#before.options
  }

  #demand(): void {
    this.#wasDemanded = true
    const { options, connectionString } = this.#before
    const ofAll = this.#optionsOfAll()
    const before = this.#demands.isReadOnly ? `${READ_ONLY} ` : ''
    // Of two settings the last one counts.
    const after = this.#avoidsSerializable ? ` ${REPEATABLE_READ}` : ''
    // What a connection string says of its options wins over the configuration's, so it is said there as well.
    if (connectionString !== undefined) {
      this.#options.connectionString = connectionString.replace(
        OPTIONS_IN_STRING,
        (_all, key: string, value: string) =>
          `${key}${inString(before)}${value || encodeURIComponent(ofAll)}${inString(after)}`,
      )
    }
    this.#options.options = `${before}${options || ofAll}${after}`.trim()
  }

  #restore(): void {
    const { options, connectionString } = this.#before
    this.#options.options = options
    if (connectionString !== undefined) this.#options.connectionString = connectionString
  }
}

/** What the options of a pool were before this package had its say: two dialects may have one pool. */
const given = new WeakMap<ConnectionOptions, ConnectionOptions>()

function asGiven(options: ConnectionOptions): ConnectionOptions {
  const before = given.get(options) ?? {
    options: options.options,
    connectionString: options.connectionString,
  }
  given.set(options, before)
  return before
}

/** The start-up options that a configuration makes of what it was given. */
function optionsOf({ options, connectionString = '' }: ConnectionOptions, ofAll: string): string {
  const inString = [...connectionString.matchAll(OPTIONS_IN_STRING)].at(-1)?.[2]
  const decoded = inString && decode(inString.replaceAll('+', ' '))
  return decoded || options || ofAll
}

/** The start-up options of every connection that says none of its own: by the environment, or by `pg.defaults`, which only a client tells. */
function optionsOfAll({ Client }: PoolLike): string {
  const { PGOPTIONS = '' } = process.env
  if (PGOPTIONS !== '' || typeof Client !== 'function') return PGOPTIONS
  try {
    return new (Client as ClientClass)({}).connectionParameters?.options ?? ''
  } catch {
    // A class of the application's, which wants to be told more.
    return ''
  }
}

/** Whether start-up options make the transactions of a session serializable; the last of several counts. */
function saysSerializable(options: string): boolean {
  let isolation = ''
  for (const [, value = ''] of options.matchAll(ISOLATION)) isolation = value
  return isolation.toLowerCase() === 'serializable'
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const ISOLATION = /default[_-]transaction[_-]isolation=(\w*)/gi
const OPTIONS_IN_STRING = /([?&]options=)([^&#]*)/g
const NO_DEMANDS: SessionDemands = { isReadOnly: false, isOnReplica: false }

// `pg` decodes a connection string that has a space in it in its own way: only this spelling means the same in both.
function inString(options: string): string {
  return options.replaceAll(' ', '%20')
}
