import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Kysely, sql } from 'kysely'
import Cursor from 'pg-cursor'
import { expect, vi } from 'vitest'
import { NODE_CHANNEL, type NodeEvent } from 'write-pinning'
import {
  type ClusterStatus,
  PrimaryReplicaDialect,
  type PrimaryReplicaDialectOptions,
} from 'write-pinning/kysely'
import type { PostgresCluster } from 'write-pinning/testing'
import { clientsOf } from '../kysely/support.ts'
import { type Database, poolOf } from './cluster.ts'

type NodeStatus = ClusterStatus['nodes'][number]

/** A database on a cluster that is about to fail, with all that the package says meanwhile. */
export class Watched implements AsyncDisposable {
  readonly db: Kysely<Database>
  readonly dialect: PrimaryReplicaDialect
  /** Warnings, as `CODE: message`. */
  readonly warnings: string[] = []
  /** Changes of nodes, as `replica-1: down`. */
  readonly changes: string[] = []
  readonly #cluster: PostgresCluster
  readonly #counts: boolean

  /** Opens it: the nodes are watched from then on, and each was heard of, or was not in time. Without `counts`, nobody counts the servers' clients at the end. */
  static async open(
    cluster: PostgresCluster,
    options: Partial<PrimaryReplicaDialectOptions> = {},
    { counts = true } = {},
  ): Promise<Watched> {
    const watched = new Watched(cluster, options, counts)
    // Kysely opens a database at its first query; whether that succeeds is the test's affair.
    await sql`select 1`.execute(watched.db).catch(() => {})
    return watched
  }

  private constructor(
    cluster: PostgresCluster,
    options: Partial<PrimaryReplicaDialectOptions>,
    counts: boolean,
  ) {
    this.#cluster = cluster
    this.#counts = counts
    this.dialect = new PrimaryReplicaDialect({
      primary: poolOf(cluster.primary),
      replicas: cluster.replicas.map(poolOf),
      cursor: Cursor,
      ...options,
    })
    this.db = new Kysely<Database>({ dialect: this.dialect })
    process.on('warning', this.#onWarning)
    subscribe(NODE_CHANNEL, this.#onChange)
  }

  node(name: string): NodeStatus {
    const found = this.dialect.status().nodes.find((node) => node.name === name)
    if (found === undefined) throw new Error(`there is no ${name}`)
    return found
  }

  /** Resolves once every one of these replicas serves reads; gives after how many ms. */
  async untilEligible(...names: string[]): Promise<number> {
    const startedMs = performance.now()
    await vi.waitFor(() => {
      for (const name of names) expect(this.node(name), name).toMatchObject({ isEligible: true })
    }, WAIT)
    return performance.now() - startedMs
  }

  /** Resolves once none of these replicas serves reads, and why; gives after how many ms. */
  async untilUnfit(because: NodeStatus['because'], ...names: string[]): Promise<number> {
    const startedMs = performance.now()
    await vi.waitFor(() => {
      for (const name of names) expect(this.node(name), name).toMatchObject({ isEligible: false, because })
    }, WAIT)
    return performance.now() - startedMs
  }

  /** The codes of the warnings, in alphabetical order. */
  codes(): string[] {
    return this.warnings.map((warning) => warning.slice(0, warning.indexOf(':'))).sort()
  }

  /** Destroys the database, and sees to it that no server that runs has a client left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.db.destroy()
    process.off('warning', this.#onWarning)
    unsubscribe(NODE_CHANNEL, this.#onChange)
    for (const node of this.#counts ? this.#cluster.nodes : []) {
      const runs = await node.query('select').then(
        () => true,
        () => false,
      )
      if (!runs) continue
      await vi.waitFor(async () => expect(await clientsOf(node), node.name).toEqual([]), WAIT)
    }
  }

  readonly #onWarning = (warning: Error & { code?: string }) => {
    if (warning.name === 'WritePinningWarning') this.warnings.push(`${warning.code}: ${warning.message}`)
  }

  readonly #onChange = (message: unknown) => {
    const { node, change, because } = message as NodeEvent
    this.changes.push(because === undefined ? `${node}: ${change}` : `${node}: ${change} (${because})`)
  }
}

const WAIT = { timeout: 20_000, interval: 10 }
