import { warn } from '../diagnostics.ts'
import { refusesOptions } from './error-meaning.ts'
import type { ClientClass, PoolClientLike, PoolLike } from './pool.ts'

/**
 * This is a start-up option. A pooler would leak a `SET` to other clients
 * (https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-DEFAULT-TRANSACTION-READ-ONLY).
 */
const READ_ONLY = '-c default_transaction_read_only=on'

/**
 * A hot standby refuses every statement of a serializable transaction, so a session that is serializable by default is
 * of no use there. Repeatable read is the highest level that it has
 * (https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-CAVEATS). In a start-up option, a space needs
 * a backslash before it.
 */
const REPEATABLE_READ = '-c default_transaction_isolation=repeatable\\ read'

/** The part of a pool's options that is changed here. */
interface ConnectionOptions {
  options?: string | undefined
  connectionString?: string | undefined
}

/** What the sessions of a pool must be. */
export interface SessionDemands {
  readonly isReadOnly: boolean
  /** Whether the server may be a hot standby, which has no serializable transactions. */
  readonly isOnReplica: boolean
}

/**
 * Makes the sessions of a replica's pool read-only, even if the server is not: the "replica" may be the primary itself
 * (local development), or may just have been promoted. Also makes them repeatable read if they would be serializable
 * by default, because a replica refuses that.
 */
export class ReplicaSessions {
  readonly #node: string
  readonly #options: ConnectionOptions
  readonly #before: ConnectionOptions
  readonly #optionsOfAll: () => string
  #demands: SessionDemands = NO_DEMANDS
  /** Whether sessions would be serializable by default. */
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

  /** Sets what new sessions must be from now on: a replica has become the primary, or the other way round. */
  set(demands: SessionDemands): void {
    this.#demands = demands
    if (this.#isRefused) return
    if (demands.isReadOnly || this.#avoidsSerializable) this.#demand()
    else if (this.#wasDemanded) this.#restore()
  }

  /**
   * The server has shown that sessions are serializable by default: by its configuration, or by that of the database
   * user or the database. True if that is news, and new sessions will be repeatable read.
   */
  learnSerializable(): boolean {
    if (this.#isSerializable) return false
    this.#isSerializable = true
    this.set(this.#demands)
    return this.#avoidsSerializable && !this.#isRefused
  }

  /** Whether a session of the pool meets the current demands. It may be older than they are. */
  isAsDemanded({ connectionParameters }: PoolClientLike): boolean {
    if (connectionParameters === undefined || this.#isRefused) return true
    const { options = '' } = connectionParameters
    if (this.#avoidsSerializable && !options.endsWith(REPEATABLE_READ)) return false
    return options.includes(READ_ONLY) === this.#demands.isReadOnly
  }

  /**
   * Gives up the start-up option, if a pooler refuses it. Then sessions are read-only only on a hot standby. True if
   * connecting failed because of the option: then another try is worth it, also if another client has made this give
   * it up before.
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

  /**
   * Takes whether a session of this node is read-only. Warns once if a pooler accepts the start-up option and drops
   * it.
   */
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
    // The options in a connection string win over those in the configuration, so they are changed there as well.
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

/** The options of a pool before this package changed them: two dialects may share one pool. */
const given = new WeakMap<ConnectionOptions, ConnectionOptions>()

function asGiven(options: ConnectionOptions): ConnectionOptions {
  const before = given.get(options) ?? {
    options: options.options,
    connectionString: options.connectionString,
  }
  given.set(options, before)
  return before
}

/** The start-up options that a configuration results in. */
function optionsOf({ options, connectionString = '' }: ConnectionOptions, ofAll: string): string {
  const inString = [...connectionString.matchAll(OPTIONS_IN_STRING)].at(-1)?.[2]
  const decoded = inString && decode(inString.replaceAll('+', ' '))
  return decoded || options || ofAll
}

/**
 * The start-up options of a connection that sets none: those of the environment, or of `pg.defaults`. Only a client
 * shows the latter.
 */
function optionsOfAll({ Client }: PoolLike): string {
  const { PGOPTIONS = '' } = process.env
  if (PGOPTIONS !== '' || typeof Client !== 'function') return PGOPTIONS
  try {
    return new (Client as ClientClass)({}).connectionParameters?.options ?? ''
  } catch {
    // The class is the application's, and needs more than an empty configuration.
    return ''
  }
}

/** Whether start-up options make the transactions of a session serializable. The last of several counts. */
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

// `pg` decodes a connection string that has a space in it differently. Only this spelling means the same to both ways
// of decoding.
function inString(options: string): string {
  return options.replaceAll(' ', '%20')
}
