import { writeFileSync } from 'node:fs'
import type { Binaries } from './binaries.ts'
import { clusterError } from './cluster-error.ts'
import { checkApplyDelay } from './cluster-options.ts'
import { logTail } from './data-directory.ts'
import { configurationFile, type Settings } from './server-settings.ts'
import { Session } from './session.ts'
import type { Supervisor } from './supervisor.ts'
import { until } from './until.ts'

const HOST = '127.0.0.1'
const START_MS = 60_000
const STOP_MS = 60_000
const REPLAY_MS = 10_000

/** How a server is asked to stop; as in `pg_ctl stop --mode`. */
export type StopMode = 'smart' | 'fast' | 'immediate'

const STOP_SIGNALS: Readonly<Record<StopMode, NodeJS.Signals>> = {
  smart: 'SIGTERM',
  fast: 'SIGINT',
  immediate: 'SIGQUIT',
}

/** What a node is made of. */
export interface NodeSetup {
  name: string
  port: number
  database: string
  dataDirectory: string
  logFile: string
  settings: Settings
  supervisor: Supervisor
  binaries: Binaries
}

type State = 'stopped' | 'running' | 'frozen'

/**
 * One server of a test cluster: the primary or a replica.
 *
 * @example
 * await using cluster = await startPostgresCluster()
 * const [replica] = cluster.replicas
 * await replica.pauseReplay()
 * await cluster.primary.query('create table note (id int)')
 * await replica.resumeReplay()
 */
export class PostgresNode {
  /** `primary`, `replica-1`, `replica-2`, … */
  readonly name: string
  /** Always 127.0.0.1. */
  readonly host: string = HOST
  /** The same port for as long as the cluster lives. */
  readonly port: number
  /** For `pg`: as the superuser `postgres`, who needs no password here. */
  readonly connectionString: string
  readonly #setup: NodeSetup
  /** The caller's session, and the one that the methods here use, so that neither disturbs the other. */
  readonly #session: Session
  readonly #control: Session
  #settings: Settings
  #state: State = 'stopped'

  /** @internal Nodes are made by `startPostgresCluster`. */
  constructor(setup: NodeSetup) {
    const { name, port, database } = setup
    this.name = name
    this.port = port
    this.connectionString = `postgres://postgres@${HOST}:${port}/${database}`
    this.#setup = setup
    this.#settings = setup.settings
    this.#session = new Session({ host: HOST, port, database })
    // Local commits: what is done here must not wait for a replica that is paused or gone.
    this.#control = new Session({
      host: HOST,
      port,
      database: 'postgres',
      options: '-c synchronous_commit=local -c default_transaction_read_only=off',
    })
  }

  /**
   * Whether the server runs: it was started, and was not stopped, killed or frozen since.
   */
  get isRunning(): boolean {
    return this.#state === 'running'
  }

  /**
   * Runs a statement on this node, over one connection that is made at the first call, and gives its rows.
   *
   * @throws an error of `pg`, or `ERR_WRITE_PINNING_TEST_CLUSTER` where the node does not run
   * @example
   * const [row] = await cluster.primary.query('select $1::int + 1 as sum', [1])
   */
  query<Row = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    return this.#askOver(this.#session, sql, params)
  }

  /**
   * The node's WAL position: what the primary has flushed, what a replica has replayed.
   *
   * @example
   * const written = await cluster.primary.lsn() // '0/3000148'
   */
  async lsn(): Promise<string> {
    const [row] = await this.#ask<{ lsn: string }>(
      'select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end as lsn',
    )
    return row?.lsn ?? ''
  }

  /**
   * Stops replay on a replica; resolves once nothing more is applied. Replay goes on after a restart.
   *
   * @example
   * await replica.pauseReplay()
   */
  async pauseReplay(): Promise<void> {
    await this.#mustReplay('pauseReplay')
    await this.#ask('select pg_wal_replay_pause()')
    await until(
      () => this.#isPaused(),
      REPLAY_MS,
      () => `${this.name} did not pause its replay within ${REPLAY_MS} ms`,
    )
  }

  /**
   * Lets a paused replica replay again.
   *
   * @example
   * await replica.resumeReplay()
   */
  async resumeReplay(): Promise<void> {
    await this.#mustReplay('resumeReplay')
    await this.#ask('select pg_wal_replay_resume()')
  }

  /**
   * Sets by how many milliseconds this replica applies each commit late (`recovery_min_apply_delay`), from now on.
   *
   * @example
   * await replica.setApplyDelay(500)
   */
  async setApplyDelay(applyDelayMs: number): Promise<void> {
    checkApplyDelay(applyDelayMs)
    this.#settings = { ...this.#settings, recovery_min_apply_delay: `${applyDelayMs}ms` }
    if (this.#state === 'stopped') return
    await this.#mustReplay('setApplyDelay')
    this.#writeConfiguration()
    await this.#setup.supervisor.signal(this.name, 'SIGHUP')
    await until(
      () => this.#hasApplyDelay(applyDelayMs),
      REPLAY_MS,
      () => `${this.name} did not take the new delay within ${REPLAY_MS} ms`,
    )
  }

  /**
   * Stops every process of the server (SIGSTOP): connections stay open and nothing answers, as when a host hangs.
   *
   * @example
   * await replica.freeze()
   */
  async freeze(): Promise<void> {
    this.#mustRun('freeze')
    await this.#setup.supervisor.each('freeze', this.name)
    this.#state = 'frozen'
  }

  /**
   * Lets a frozen server go on (SIGCONT).
   *
   * @example
   * await replica.thaw()
   */
  async thaw(): Promise<void> {
    await this.#setup.supervisor.each('thaw', this.name)
    if (this.#state === 'frozen') this.#state = 'running'
  }

  /**
   * Kills every process of the server (SIGKILL), as when a host dies; resolves when they are gone.
   *
   * @example
   * await cluster.primary.kill()
   * await cluster.primary.start()
   */
  async kill(): Promise<void> {
    await this.#setup.supervisor.each('kill', this.name)
    this.#hasEnded()
  }

  /**
   * Stops the server: `smart` waits for its clients, `fast` (the default) ends their sessions, `immediate` does not
   * even write a checkpoint.
   *
   * @example
   * await replica.stop()
   */
  async stop(mode: StopMode = 'fast'): Promise<void> {
    if (this.#state === 'stopped') return
    if (this.#state === 'frozen') await this.thaw()
    await Promise.all([this.#session.close(), this.#control.close()])
    await this.#setup.supervisor.signal(this.name, STOP_SIGNALS[mode])
    await until(
      () => this.#state === 'stopped',
      STOP_MS,
      () => `${this.name} did not stop within ${STOP_MS} ms (${mode})`,
    )
  }

  /**
   * Starts a server that was stopped or killed, on the port that it had; resolves when it takes connections.
   *
   * @example
   * await replica.start()
   */
  async start(): Promise<void> {
    if (this.#state !== 'stopped') throw clusterError(`${this.name} runs already`)
    const { name, binaries, dataDirectory, logFile, supervisor } = this.#setup
    this.#writeConfiguration()
    this.#state = 'running'
    await supervisor.serve({ name, postgres: binaries.postgres, dataDirectory, logFile }, () =>
      this.#hasEnded(),
    )
    await until(
      () => this.#answers(),
      START_MS,
      () => `${name} did not take connections within ${START_MS} ms:\n${logTail(logFile)}`,
    )
  }

  /**
   * Stops the server (fast) where it runs, and starts it.
   *
   * @example
   * await cluster.primary.restart()
   */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  /**
   * Makes a replica a primary; resolves when it takes writes. The others go on following the old primary.
   *
   * @example
   * await cluster.primary.kill()
   * await replica.promote()
   */
  async promote(): Promise<void> {
    await this.#mustReplay('promote')
    await this.#ask('select pg_promote(true, 60)')
    await until(
      async () => !(await this.isReplica()),
      REPLAY_MS,
      () => `${this.name} is still a replica after its promotion:\n${logTail(this.#setup.logFile)}`,
    )
  }

  /** @internal Whether it follows a primary. */
  async isReplica(): Promise<boolean> {
    const [row] = await this.#ask<{ is: boolean }>('select pg_is_in_recovery() as is')
    return row?.is === true
  }

  /** @internal For the cluster's own statements. */
  control<Row>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    return this.#ask<Row>(sql, params)
  }

  async #ask<Row>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    return this.#askOver<Row>(this.#control, sql, params)
  }

  async #askOver<Row>(session: Session, sql: string, params?: readonly unknown[]): Promise<Row[]> {
    this.#mustRun('query')
    return session.query<Row>(sql, params)
  }

  async #isPaused(): Promise<boolean> {
    // While it waits for a commit's delay to pass, replay cannot say that it is paused; but it looks again before it
    // applies that commit, so nothing more is applied.
    const [row] = await this.#ask<{ state: string; event: string | null }>(
      `select pg_get_wal_replay_pause_state() as state,
         (select wait_event from pg_stat_activity where backend_type = 'startup') as event`,
    )
    return row?.state === 'paused' || (row?.state === 'pause requested' && row.event === 'RecoveryApplyDelay')
  }

  /** Asked over a new connection: the server makes one only after it has told its processes of the change. */
  async #hasApplyDelay(applyDelayMs: number): Promise<boolean> {
    const session = new Session({ host: HOST, port: this.port, database: 'postgres' })
    try {
      const [row] = await session.query<{ setting: string }>(
        "select setting from pg_settings where name = 'recovery_min_apply_delay'",
      )
      return row?.setting === String(applyDelayMs)
    } finally {
      await session.close()
    }
  }

  async #answers(): Promise<boolean> {
    if (this.#state === 'stopped') {
      throw clusterError(`${this.name} did not start:\n${logTail(this.#setup.logFile)}`)
    }
    try {
      await this.#control.query('select 1')
      return true
    } catch {
      return false
    }
  }

  async #mustReplay(method: string): Promise<void> {
    this.#mustRun(method)
    if (!(await this.isReplica())) throw clusterError(`${method}: ${this.name} is not a replica`)
  }

  #mustRun(method: string): void {
    if (this.#state === 'running') return
    const remedy = this.#state === 'frozen' ? 'thaw() it first' : 'start() it first'
    throw clusterError(`${method}: ${this.name} is ${this.#state}; ${remedy}`)
  }

  #hasEnded(): void {
    this.#state = 'stopped'
    this.#session.drop()
    this.#control.drop()
  }

  #writeConfiguration(): void {
    writeFileSync(`${this.#setup.dataDirectory}/postgresql.conf`, configurationFile(this.#settings))
  }
}
