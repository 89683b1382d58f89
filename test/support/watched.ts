import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Kysely } from 'kysely'
import type pg from 'pg'
import Cursor from 'pg-cursor'
import { expect, vi } from 'vitest'
import { NODE_CHANNEL, type NodeChange, type NodeEvent } from 'write-pinning'
import {
  type ClusterStatus,
  PrimaryReplicaDialect,
  type PrimaryReplicaDialectOptions,
} from 'write-pinning/kysely'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import type { Database } from './cluster.ts'
import { clientsOf, namedPool } from './server-clients.ts'

/** A change of a node, and when it came, by `performance.now()`. */
export interface TimedNodeEvent extends NodeEvent {
  readonly atMs: number
}

type NodeStatus = ClusterStatus['nodes'][number]

/** A database on a cluster that is about to fail, and everything that the package says meanwhile. */
export class Watched implements AsyncDisposable {
  readonly db: Kysely<Database>
  readonly dialect: PrimaryReplicaDialect
  /** Warnings, as `CODE: message`. */
  readonly warnings: string[] = []
  /** Changes of nodes, as `replica-1: down`. */
  readonly changes: string[] = []
  /** The changes as events, with their times. */
  readonly events: TimedNodeEvent[] = []
  readonly #cluster: PostgresCluster
  readonly #counts: boolean

  /**
   * Opens the database. When it resolves, the nodes are watched, and each has answered or was too late. Without
   * `counts`, nobody counts the servers' clients at the end.
   */
  static async open(
    cluster: PostgresCluster,
    options: Partial<PrimaryReplicaDialectOptions> = {},
    { counts = true } = {},
  ): Promise<Watched> {
    const watched = new Watched(cluster, options, counts)
    // Kysely opens a database when it is first used.
    await watched.db.connection().execute(async () => {})
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
      primary: watchedPool(cluster.primary),
      replicas: cluster.replicas.map(watchedPool),
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

  /** Waits until all these replicas serve reads. Resolves with the time that this took, in ms. */
  async untilEligible(...names: string[]): Promise<number> {
    const startedMs = performance.now()
    await vi.waitFor(() => {
      for (const name of names) expect(this.node(name), name).toMatchObject({ isFit: true })
    }, WAIT)
    return performance.now() - startedMs
  }

  /** Waits until none of these replicas serves reads, for this reason. Resolves with the time that this took, in ms. */
  async untilUnfit(because: NodeStatus['because'], ...names: string[]): Promise<number> {
    const startedMs = performance.now()
    await vi.waitFor(() => {
      for (const name of names) expect(this.node(name), name).toMatchObject({ isFit: false, because })
    }, WAIT)
    return performance.now() - startedMs
  }

  /** The node's changes since `sinceMs`, by `performance.now()`. */
  changesOf(node: string, sinceMs = 0): NodeChange[] {
    return this.#since(node, sinceMs).map(({ change }) => change)
  }

  /**
   * Waits for the first such change of the node at or after `sinceMs`. Resolves with its time, by
   * `performance.now()`.
   */
  changed(node: string, change: NodeChange, sinceMs: number, withinMs = 15_000): Promise<number> {
    const find = () => {
      const event = this.#since(node, sinceMs).find((each) => each.change === change)
      if (event === undefined) throw new Error(`${node} is not ${change} since ${sinceMs}`)
      return event.atMs
    }
    return vi.waitFor(find, { timeout: withinMs, interval: 5 })
  }

  #since(node: string, sinceMs: number): TimedNodeEvent[] {
    return this.events.filter((event) => event.node === node && event.atMs >= sinceMs)
  }

  /** The codes of the warnings, in alphabetical order. */
  codes(): string[] {
    return this.warnings.map((warning) => warning.slice(0, warning.indexOf(':'))).sort()
  }

  /** Destroys the database, and expects that no running server has a client left. */
  async close(): Promise<void> {
    await this.db.destroy()
    process.off('warning', this.#onWarning)
    unsubscribe(NODE_CHANNEL, this.#onChange)
    if (this.#counts) await expectNoClients(this.#cluster)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  readonly #onWarning = (warning: Error & { code?: string }) => {
    if (warning.name === 'WritePinningWarning') this.warnings.push(`${warning.code}: ${warning.message}`)
  }

  readonly #onChange = (message: unknown) => {
    const event = message as NodeEvent
    const { node, change, because } = event
    this.events.push({ ...event, atMs: performance.now() })
    this.changes.push(because === undefined ? `${node}: ${change}` : `${node}: ${change} (${because})`)
  }
}

const WAIT = { timeout: 20_000, interval: 10 }

/** A pool whose connections `terminateClients()` finds. */
export function watchedPool(node: PostgresNode): pg.Pool {
  return namedPool(node, 'watched')
}

/** Expects that only the tests themselves are connected to the servers that run. */
export async function expectNoClients(cluster: PostgresCluster): Promise<void> {
  for (const node of cluster.nodes) {
    const runs = await node.query('select').then(
      () => true,
      () => false,
    )
    if (runs) await vi.waitFor(async () => expect(await clientsOf(node), node.name).toEqual([]), WAIT)
  }
}
