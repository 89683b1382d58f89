import type { Kysely } from 'kysely'
import { afterEach, beforeAll, beforeEach } from 'vitest'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import {
  type PostgresCluster,
  type PostgresClusterOptions,
  type PostgresNode,
  startPostgresCluster,
} from 'write-pinning/testing'
import { type Database, databaseOf, poolOf, readItems, startShop } from './cluster.ts'
import { type AtEnd, useEnds } from './ends.ts'
import { serveShop } from './exact.ts'
import { type Listen, listening } from './listening.ts'
import { Watched } from './watched.ts'

type DialectOptions = Partial<PrimaryReplicaDialectOptions>

export interface ClusterUse extends PostgresClusterOptions {
  /** What the primary runs before the first test. The replicas have replayed it by then. */
  readonly sql?: string | readonly string[]
  /** Whether each test has its own cluster. Default: the tests share one. */
  readonly isOfEachTest?: boolean
}

export interface ShopUse extends ClusterUse {
  /** The options of `db`. */
  readonly dialect?: DialectOptions
  /**
   * Whether replicas replay nothing during a test. They catch up, with empty tables, before the next. Default: false.
   */
  readonly isLate?: boolean
}

/** A cluster, and a way to end what a test opens. */
export interface UsedCluster {
  /** Stands for the cluster that runs now. Hooks and tests can use it. */
  readonly cluster: PostgresCluster
  readonly atEnd: AtEnd
}

/** A cluster with the tables `item` and `session`, and what is opened on it. All of that ends by itself. */
export interface Shop extends UsedCluster {
  /** A database that all tests share. */
  readonly db: Kysely<Database>
  /** Reads the items by `db`. */
  readonly read: () => ReturnType<typeof readItems>
  /** Adds an item by `db`. */
  readonly insert: (name?: string) => Promise<unknown>
  /** Opens another database. It may be opened before the cluster runs, because it connects when it is first used. */
  readonly open: (options?: DialectOptions) => Kysely<Database>
  /** Opens a database whose nodes and warnings are watched; see `Watched.open()`. */
  readonly watch: (...options: WatchOptions) => Promise<Watched>
  readonly listen: Listen
  /** Serves the shop with Fastify and exact pins. */
  readonly serveShop: typeof serveShop
}

type WatchOptions = Parameters<typeof Watched.open> extends [unknown, ...infer Rest] ? Rest : never

/**
 * Starts a cluster before the tests of a file or a suite, and stops it after them.
 *
 * @example
 * const { cluster } = useCluster({ replicas: 2, sql: 'create table note (id int)' })
 */
export function useCluster(use: ClusterUse = {}): UsedCluster {
  const atEnd = useEnds()
  return { cluster: clusterBy(startPostgresCluster, use, atEnd), atEnd }
}

/**
 * Starts a cluster with a shop before the tests of a file or a suite, and stops it after them.
 * @example
 * const { cluster, db, read } = useShop({ dialect: { unpinnedTables: ['session'] } })
 */
export function useShop({ dialect, isLate = false, ...use }: ShopUse = {}): Shop {
  const { replicas = 1 } = use
  const atEnd = useEnds()
  const cluster = clusterBy((others) => startShop(replicas, others), use, atEnd)
  if (isLate) keepLate(cluster)

  const openWithoutEnd = (options?: DialectOptions) =>
    databaseOf({ ...nodesToCome(cluster, replicas), ...options })
  let shared: Kysely<Database> | undefined
  // Registered here. Otherwise the database would end with the first test that uses it.
  atEnd(() => shared?.destroy())
  const db = () => {
    if (use.isOfEachTest)
      throw new Error('There is no shared database where each test has its own cluster: open() one.')
    shared ??= openWithoutEnd(dialect)
    return shared
  }

  return {
    cluster,
    atEnd,
    get db() {
      return db()
    },
    read: () => readItems(db()),
    insert: (name = 'lamp') => db().insertInto('item').values({ name }).execute(),
    open(options) {
      const opened = openWithoutEnd(options)
      atEnd(() => opened.destroy())
      return opened
    },
    async watch(...options) {
      const watched = await Watched.open(cluster, ...options)
      atEnd(() => watched.close())
      return watched
    },
    listen: listening(atEnd),
    async serveShop(...args) {
      const served = await serveShop(...args)
      atEnd(() => served.app.close())
      return served
    },
  }
}

/**
 * Starts the cluster before the first test, or before each test, and gives an object that stands for the running one.
 */
function clusterBy(
  start: (options: PostgresClusterOptions) => Promise<PostgresCluster>,
  { sql, isOfEachTest = false, ...options }: ClusterUse,
  atEnd: AtEnd,
): PostgresCluster {
  let running: PostgresCluster | undefined
  const stop = async () => {
    await running?.stop()
    running = undefined
  }
  const begin = async () => {
    running = await start(options)
    if (sql === undefined) return
    for (const text of [sql].flat()) await running.primary.query(text)
    await running.waitForCatchup()
  }
  if (isOfEachTest) {
    beforeEach(async () => {
      atEnd(stop)
      await begin()
    })
  } else {
    // Registered before anything is opened on the cluster, so that the cluster ends last.
    atEnd(stop)
    beforeAll(begin)
  }
  const current = () => {
    if (running === undefined) throw new Error('The cluster runs only in hooks and in tests.')
    return running
  }
  return {
    get primary() {
      return current().primary
    },
    get replicas() {
      return current().replicas
    },
    get nodes() {
      return current().nodes
    },
    waitForCatchup: () => current().waitForCatchup(),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}

/** Keeps the replicas from replaying during a test, and lets them catch up after it. */
function keepLate(cluster: PostgresCluster): void {
  beforeEach(async () => {
    for (const replica of cluster.replicas) await replica.pauseReplay()
  })
  afterEach(async () => {
    for (const replica of cluster.replicas) await replica.resumeReplay()
    await cluster.primary.query('truncate item, session')
    await cluster.waitForCatchup()
  })
}

/** The nodes of a cluster that need not run yet: a dialect opens a pool when it is first used. */
function nodesToCome(
  cluster: PostgresCluster,
  replicas: number,
): Pick<PrimaryReplicaDialectOptions, 'primary' | 'replicas'> {
  const replica = (index: number) => () => poolOf(cluster.replicas[index] as PostgresNode)
  return {
    primary: () => poolOf(cluster.primary),
    replicas: Array.from({ length: replicas }, (_, index) => replica(index)),
  }
}
