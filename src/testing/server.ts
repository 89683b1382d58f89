import { writeFileSync } from 'node:fs'
import { clusterError } from './cluster-error.ts'
import { logTail } from './data-directory.ts'
import { LazyConnection, NOT_SERIALIZABLE } from './lazy-connection.ts'
import { configurationFile, type Settings } from './server-settings.ts'
import type { Supervisor } from './supervisor.ts'
import { until } from './until.ts'

/** No timeout of the cluster's settings may cut a promotion short. */
const WITHOUT_TIMEOUTS = '-c statement_timeout=0 -c lock_timeout=0'

const START_MS = 60_000
const STOP_MS = 60_000

/** How a server is asked to stop, as in `pg_ctl stop --mode`. */
export type StopMode = 'smart' | 'fast' | 'immediate'

const STOP_SIGNALS: Readonly<Record<StopMode, NodeJS.Signals>> = {
  smart: 'SIGTERM',
  fast: 'SIGINT',
  immediate: 'SIGQUIT',
}

/** Everything that a server needs to start. */
export interface ServerSetup {
  name: string
  host: string
  port: number
  database: string
  majorVersion: number
  postgres: string
  dataDirectory: string
  configFile: string
  logFile: string
  settings: Settings
  supervisor: Supervisor
}

/** One server's processes and configuration, and the two connections that a node may need to it. */
export class Server {
  readonly setup: ServerSetup
  /** The caller's connection, and the node's own. Neither disturbs the other. */
  readonly #ofCaller: LazyConnection
  readonly #ofNode: LazyConnection
  #settings: Settings
  #state: 'stopped' | 'running' | 'frozen' = 'stopped'

  constructor(setup: ServerSetup) {
    this.setup = setup
    this.#settings = setup.settings
    const { host, port, database } = setup
    this.#ofCaller = new LazyConnection({ host, port, database })
    // The node's own statements must not wait for a replica that is paused or gone. And no default of the cluster may
    // make a server refuse them: a hot standby refuses serializable ones, for example.
    const options = `-c synchronous_commit=local -c default_transaction_read_only=off ${NOT_SERIALIZABLE} ${WITHOUT_TIMEOUTS}`
    this.#ofNode = new LazyConnection({ host, port, database: 'postgres', isOwn: true, options })
  }

  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /** Runs a statement of the caller's. */
  async query<Row>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    this.mustRun('query')
    return this.#ofCaller.query<Row>(sql, params)
  }

  /** Runs a statement of the node's own. */
  async ask<Row>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    this.mustRun('query')
    return this.#ofNode.ask<Row>(sql, params)
  }

  /** Changes settings. A running server is told to load them, but may not have applied them yet when this resolves. */
  async configure(settings: Settings): Promise<void> {
    this.#settings = { ...this.#settings, ...settings }
    this.#writeConfiguration()
    if (this.isRunning) await this.setup.supervisor.signal(this.setup.name, 'SIGHUP')
  }

  async start(): Promise<void> {
    const { name, postgres, dataDirectory, configFile, logFile, supervisor } = this.setup
    const args = ['-D', dataDirectory, '-c', `config_file=${configFile}`]
    if (this.#state !== 'stopped') throw clusterError(`start: ${name} runs already`)
    this.#writeConfiguration()
    this.#state = 'running'
    try {
      await supervisor.serve({ name, postgres, args, dataDirectory, logFile }, () => this.hasEnded())
    } catch (error) {
      this.hasEnded()
      throw error
    }
    await until(
      () => this.#answers(),
      () => START_MS,
      () => `${name} did not take connections within ${START_MS} ms:\n${logTail(logFile)}`,
    )
  }

  async stop(mode: StopMode): Promise<void> {
    if (this.#state === 'frozen') await this.thaw()
    if (this.#state === 'stopped') return
    // A smart stop would wait for our own sessions.
    await Promise.all([this.#ofCaller.close(), this.#ofNode.close()])
    await this.setup.supervisor.signal(this.setup.name, STOP_SIGNALS[mode])
    await until(
      () => this.#state === 'stopped',
      () => STOP_MS,
      () => `${this.setup.name} did not stop (${mode}) within ${STOP_MS} ms`,
    )
  }

  async kill(): Promise<void> {
    await this.setup.supervisor.each('kill', this.setup.name)
    this.hasEnded()
  }

  async freeze(): Promise<void> {
    this.mustRun('freeze')
    this.#state = 'frozen'
    // A statement that waits for an answer on this connection should fail now, not after the thaw.
    this.#ofNode.drop()
    await this.setup.supervisor.each('freeze', this.setup.name)
  }

  async thaw(): Promise<void> {
    await this.setup.supervisor.each('thaw', this.setup.name)
    if (this.#state === 'frozen') this.#state = 'running'
  }

  hasEnded(): void {
    this.#state = 'stopped'
    this.#ofCaller.drop()
    this.#ofNode.drop()
  }

  mustRun(method: string): void {
    if (this.#state === 'running') return
    const remedy = this.#state === 'frozen' ? 'thaw() it first' : 'start() it first'
    throw clusterError(`${method}: ${this.setup.name} is ${this.#state}; ${remedy}`)
  }

  async #answers(): Promise<boolean> {
    if (this.#state === 'stopped') {
      throw clusterError(`${this.setup.name} did not start:\n${logTail(this.setup.logFile)}`)
    }
    try {
      await this.#ofNode.ask('select 1')
      return true
    } catch (error) {
      if (isItsOwn(error)) throw error
      return false
    }
  }

  #writeConfiguration(): void {
    writeFileSync(this.setup.configFile, configurationFile(this.#settings), { mode: 0o644 })
  }
}

// Whether the fault is in this process (`pg` is not installed, for example): then waiting does not help.
function isItsOwn(error: unknown): boolean {
  return (error as { code?: unknown }).code === 'ERR_WRITE_PINNING_TEST_CLUSTER'
}
