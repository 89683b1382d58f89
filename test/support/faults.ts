import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { Kysely } from 'kysely'
import type pg from 'pg'
import Cursor from 'pg-cursor'
import { expect, vi } from 'vitest'
import { NODE_CHANNEL, type NodeChange, type NodeEvent } from 'write-pinning'
import { PrimaryReplicaDialect, type PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import { clientsOf, namedPool } from '../kysely/support.ts'
import type { Database } from './cluster.ts'
import type { Load } from './load.ts'

/** A database on a cluster, and what an operator sees of its nodes. */
export interface Watched {
  readonly db: Kysely<Database>
  readonly dialect: PrimaryReplicaDialect
  /** What happened to the nodes since it was opened, in order. */
  readonly events: readonly TimedNodeEvent[]
  /** The node's changes since `sinceMs`, by `performance.now()`. */
  changesOf(node: string, sinceMs?: number): NodeChange[]
  /** Resolves with when, by `performance.now()`, the node first changed so at or after `sinceMs`. */
  changed(node: string, change: NodeChange, sinceMs: number, withinMs?: number): Promise<number>
  /** Ends the database, and looks that no server has a connection of its left. */
  close(): Promise<void>
}

/** A change of a node, with when it was, by `performance.now()`. */
export interface TimedNodeEvent extends NodeEvent {
  readonly atMs: number
}

/** Opens a database through the dialect under test, and keeps an eye on what happens to its nodes. */
export async function openWatched(
  cluster: PostgresCluster,
  options: Partial<PrimaryReplicaDialectOptions> = {},
): Promise<Watched> {
  const dialect = new PrimaryReplicaDialect({
    primary: watchedPool(cluster.primary),
    replicas: cluster.replicas.map(watchedPool),
    cursor: Cursor,
    ...options,
  })
  const db = new Kysely<Database>({ dialect })
  const events: TimedNodeEvent[] = []
  const onEvent = (event: unknown) => events.push({ ...(event as NodeEvent), atMs: performance.now() })
  subscribe(NODE_CHANNEL, onEvent)
  // The nodes are watched from the first statement on.
  await db.connection().execute(async () => {})
  const since = (node: string, sinceMs: number) =>
    events.filter((event) => event.node === node && event.atMs >= sinceMs)
  return {
    db,
    dialect,
    events,
    changesOf: (node, sinceMs = 0) => since(node, sinceMs).map(({ change }) => change),
    changed: (node, change, sinceMs, withinMs = 15_000) =>
      vi.waitFor(
        () => {
          const event = since(node, sinceMs).find((each) => each.change === change)
          if (event === undefined) throw new Error(`${node} is not ${change} since ${sinceMs}`)
          return event.atMs
        },
        { timeout: withinMs, interval: 5 },
      ),
    async close() {
      await db.destroy()
      unsubscribe(NODE_CHANNEL, onEvent)
      await expectNoClients(cluster)
    },
  }
}

/** A pool whose connections `terminateClients()` finds. */
export function watchedPool(node: PostgresNode): pg.Pool {
  return namedPool(node, 'watched')
}

/** Nobody but the tests themselves is connected to any server that runs. */
export async function expectNoClients(cluster: PostgresCluster): Promise<void> {
  for (const node of cluster.nodes) {
    await vi.waitFor(async () => expect(await clientsOf(node)).toEqual([]), { timeout: 5_000 })
  }
}

/** Resolves when so many operations of the load, and by default a hundred, have ended from now on. */
export async function more(load: Load<unknown>, count = 100): Promise<void> {
  const fromMs = load.nowMs()
  await vi.waitFor(
    () => expect(load.soFar().between(fromMs).operations.length).toBeGreaterThanOrEqual(count),
    { timeout: 20_000, interval: 10 },
  )
}

/** Resolves with how many ms it took from now until `node` served one of the load's reads that began from now on. */
export async function servedAgain(load: Load<string>, node: string): Promise<number> {
  const fromMs = load.nowMs()
  return await vi.waitFor(
    () => {
      const first = load
        .soFar()
        .between(fromMs)
        .operations.find(({ value }) => value === node)
      if (first === undefined) throw new Error(`${node} has not served since ${fromMs}`)
      return first.endMs - fromMs
    },
    { timeout: 20_000, interval: 10 },
  )
}
