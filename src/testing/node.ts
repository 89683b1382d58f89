import { clusterError } from './cluster-error.ts'
import { checkApplyDelay } from './cluster-options.ts'
import { hasApplyDelay, isReplayPaused, isReplica } from './replay.ts'
import type { Server, StopMode } from './server.ts'
import { until } from './until.ts'

const REPLAY_MS = 10_000

/**
 * One server of a test cluster: the primary or a replica.
 *
 * @example
 * const { primary, replicas: [replica] } = await startPostgresCluster()
 * await replica.pauseReplay()
 * await primary.query('create table note (id int)')
 * await replica.resumeReplay()
 */
export class PostgresNode {
  /** `primary`, `replica-1`, `replica-2`, … */
  readonly name: string
  /** Always 127.0.0.1. */
  readonly host: string
  /** The same port for as long as the cluster lives. */
  readonly port: number
  /** For `pg`. The user is the superuser `postgres`, who needs no password here. */
  readonly connectionString: string
  readonly #server: Server

  constructor(server: Server) {
    const { name, host, port, database } = server.setup
    this.name = name
    this.host = host
    this.port = port
    this.connectionString = `postgres://postgres@${host}:${port}/${database}`
    this.#server = server
  }

  /**
   * Runs a statement on this node and gives its rows. It uses one connection, which is made at the first call.
   *
   * @throws an error of `pg`, or `ERR_WRITE_PINNING_TEST_CLUSTER` if the node does not run
   * @example
   * const [row] = await primary.query('select $1::int + 1 as sum', [1])
   */
  query<Row = Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<Row[]> {
    return this.#server.query<Row>(sql, params)
  }

  /**
   * Gives the node's WAL position: what the primary has flushed, or what a replica has replayed.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` if the node does not run
   * @example
   * const written = await primary.lsn() // '0/3000148'
   */
  async lsn(): Promise<string> {
    const [row] = await this.#server.ask<{ lsn: string }>(
      `select case when pg_catalog.pg_is_in_recovery()
         then pg_catalog.pg_last_wal_replay_lsn() else pg_catalog.pg_current_wal_flush_lsn() end as lsn`,
    )
    return row?.lsn ?? ''
  }

  /**
   * Stops replay on a replica. Resolves once nothing more is applied. A restart ends the pause.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` if the node is no replica or does not run
   * @example
   * await replica.pauseReplay()
   */
  async pauseReplay(): Promise<void> {
    await this.#mustBeReplica('pauseReplay')
    await this.#server.ask('select pg_catalog.pg_wal_replay_pause()')
    await until(
      () => isReplayPaused(this.#server),
      () => REPLAY_MS,
      () => `${this.name} did not pause its replay within ${REPLAY_MS} ms`,
    )
  }

  /**
   * Lets a paused replica replay again.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` if the node is no replica or does not run
   * @example
   * await replica.resumeReplay()
   */
  async resumeReplay(): Promise<void> {
    await this.#mustBeReplica('resumeReplay')
    await this.#server.ask('select pg_catalog.pg_wal_replay_resume()')
  }

  /**
   * Sets how long after its commit this replica applies a transaction, in ms. Resolves once the server has taken it.
   *
   * @throws `ERR_WRITE_PINNING_OPTION` if that is no delay, and `ERR_WRITE_PINNING_TEST_CLUSTER` if the node is no
   * replica or does not run
   * @example
   * await replica.setApplyDelay(500)
   */
  async setApplyDelay(applyDelayMs: number): Promise<void> {
    checkApplyDelay(applyDelayMs)
    await this.#mustBeReplica('setApplyDelay')
    await this.#server.configure({ recovery_min_apply_delay: `${applyDelayMs}ms` })
    await until(
      () => hasApplyDelay(this.#server, applyDelayMs),
      () => REPLAY_MS,
      () => `${this.name} did not take the new apply delay within ${REPLAY_MS} ms`,
    )
  }

  /**
   * Stops every process of the server (SIGSTOP). Connections stay open and nothing answers, as when a host hangs.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` if the node does not run
   * @example
   * await replica.freeze()
   */
  freeze(): Promise<void> {
    return this.#server.freeze()
  }

  /**
   * Lets a frozen server go on (SIGCONT).
   *
   * @example
   * await replica.thaw()
   */
  thaw(): Promise<void> {
    return this.#server.thaw()
  }

  /**
   * Kills every process of the server (SIGKILL), as when a host dies; resolves when they are gone.
   *
   * @example
   * await primary.kill()
   * await primary.start()
   */
  kill(): Promise<void> {
    return this.#server.kill()
  }

  /**
   * Stops the server.
   *
   * - `smart` waits for its clients
   * - `fast` (the default) ends their sessions; the primary also waits until its replicas have received the last WAL
   * - `immediate` waits for nothing
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` if it has not stopped after 60 seconds
   * @example
   * await replica.stop()
   */
  stop(mode: StopMode = 'fast'): Promise<void> {
    return this.#server.stop(mode)
  }

  /**
   * Starts a server that was stopped or killed, on the port that it had; resolves when it takes connections.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` if it runs already, or, with the end of its log, if it does not start
   * @example
   * await replica.start()
   */
  start(): Promise<void> {
    return this.#server.start()
  }

  /**
   * Stops the server (fast), unless it was stopped or killed already, and starts it.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` if it does not stop, or does not start
   * @example
   * await primary.restart()
   */
  async restart(): Promise<void> {
    await this.#server.stop('fast')
    await this.#server.start()
  }

  /**
   * Makes a replica a primary; resolves when it takes writes. The other nodes stay as they were.
   *
   * @throws `ERR_WRITE_PINNING_TEST_CLUSTER` if the node is no replica or does not run
   * @example
   * await primary.kill()
   * await replica.promote()
   */
  async promote(): Promise<void> {
    await this.#mustBeReplica('promote')
    await this.#server.ask('select pg_catalog.pg_promote(true, 60)')
    await until(
      async () => !(await isReplica(this.#server)),
      () => REPLAY_MS,
      () => `${this.name} is still a replica after its promotion`,
    )
  }

  async #mustBeReplica(method: string): Promise<void> {
    this.#server.mustRun(method)
    if (!(await isReplica(this.#server))) throw clusterError(`${method}: ${this.name} is not a replica`)
  }
}
