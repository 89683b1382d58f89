import { warn } from '../diagnostics.ts'
import { AddressWatch } from '../nodes/address-watch.ts'
import { Discovery } from '../nodes/discovery.ts'
import { Node } from '../nodes/node.ts'
import type { NodeOptions } from '../nodes/node-options.ts'
import { NodePool } from '../nodes/node-pool.ts'
import type { PoolLike } from '../nodes/pool.ts'
import { ReplicaSet } from '../nodes/replica-set.ts'
import { StatementClassifier } from '../sql/classifier.ts'
import { CatalogReader } from './catalog-reader.ts'
import { CatalogReports } from './catalog-reports.ts'
import { Cluster } from './cluster.ts'
import type { ClusterOperator } from './cluster-operator.ts'
import type { RoutedConnection } from './connection.ts'
import { ContextWatch } from './context-watch.ts'
import { FunctionWatch } from './function-watch.ts'
import type { RouterSettings } from './options.ts'

/** How many connection objects are kept for reuse. They are small and hold no client. */
const MAX_IDLE = 100

/** What an edge brings. */
export interface Edge<C extends RoutedConnection> {
  /** Makes a connection with the methods that the edge's library calls. */
  makeConnection(cluster: Cluster): C
  /** Does something to each session that is taken, before anything is sent. */
  readonly prepare?: Cluster['prepare']
  /** Called with each pool of a node that is opened. */
  opened?(pool: PoolLike): void
}

/**
 * One cluster, for one pool or one Kysely instance. It opens at its first use, lends connections that find their node,
 * and ends.
 */
export class Router<C extends RoutedConnection> {
  readonly #cluster: Cluster
  readonly #operator: ClusterOperator
  readonly #discovery: Discovery
  readonly #addresses: AddressWatch
  readonly #makeConnection: Edge<C>['makeConnection']
  // Kysely, for one, remembers each connection object that it meets. That costs more than all of routing, so the
  // objects are used again.
  readonly #idle: C[] = []
  /** How many connections are lent. */
  #lent = 0
  #onAllBack: (() => void) | undefined
  #opening: Promise<void> | undefined

  /** Puts the parts together. Opens nothing before {@link init}. */
  constructor(
    settings: RouterSettings,
    operator: ClusterOperator,
    { makeConnection, prepare, opened }: Edge<C>,
  ) {
    const { name, nodes, withoutContext, replicaSet } = settings
    const { maxLagMs, lookup } = replicaSet
    const make = (options: NodeOptions, at = lookup) =>
      new Node(options, poolOf(options, settings, at, opened), { maxLagMs })
    const replicas = nodes.replicas.filter(({ discover }) => discover === undefined)
    const set = new ReplicaSet({
      name,
      primary: make(nodes.primary),
      replicas: replicas.map((each) => make(each)),
      settings: replicaSet,
      operator: operator.state,
    })
    const discovered = nodes.replicas.filter(({ discover }) => discover !== undefined)
    const classifier = new StatementClassifier(settings.classifier, (unknown) =>
      catalog.sawUnknownName(unknown),
    )
    const catalog = new CatalogReader({
      nodes: () => set.nodes,
      classifier: () => classifier,
      options: settings.classifier,
      reports: new CatalogReports(name),
    })
    const latestMs = Math.max(0, ...nodes.replicas.map((each) => each.maxLagMs ?? maxLagMs))
    const watch = new ContextWatch(name, latestMs, nodes.replicas.length > 0, withoutContext)
    const functions = new FunctionWatch(name)
    this.#cluster = new Cluster({ set, classifier, catalog, withoutContext, watch, functions, prepare })
    this.#discovery = new Discovery(set, discovered, make, lookup)
    this.#addresses = new AddressWatch(set, lookup)
    this.#operator = operator
    this.#makeConnection = makeConnection
    operator.created(this)
  }

  /** The nodes, the primary first. */
  get nodes(): readonly Node[] {
    return this.#cluster.set.nodes
  }

  /** Opens the cluster once, for the first query or for `ready()`. After a failure the next call tries again. */
  init(): Promise<void> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined
      throw error
    })
    return this.#opening
  }

  /** Lends a connection. It takes no session before its first statement. */
  connect(): C {
    const connection = this.#idle.pop() ?? this.#newConnection()
    this.#lent++
    connection.open()
    return connection
  }

  /** Resolves when every lent connection is back and nothing runs on any. */
  allBack(): Promise<void> {
    if (this.#lent === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onAllBack = resolve
    })
  }

  #newConnection(): C {
    const connection = this.#makeConnection(this.#cluster)
    connection.onFree = () => {
      this.#lent--
      if (this.#lent === 0) this.#onAllBack?.()
      if (this.#idle.length < MAX_IDLE) this.#idle.push(connection)
    }
    return connection
  }

  async destroy(): Promise<void> {
    const { set, catalog } = this.#cluster
    // Otherwise, nodes that are still being opened would be watched for ever.
    await this.#opening?.catch(ignore)
    this.#operator.closed(this, set)
    this.#addresses.stop()
    const ended = await Promise.allSettled([
      ...set.nodes.map((node) => node.end()),
      catalog.stop(),
      this.#discovery.stop(),
    ])
    // The nodes are watched until then. Otherwise, what is under way on a node that does not answer would never end.
    await set.stop()
    for (const each of ended) if (each.status === 'rejected') throw each.reason
  }

  async #open(): Promise<void> {
    const { set, name, catalog } = this.#cluster
    await set.start()
    this.#operator.opened(set)
    await this.#discovery.start()
    this.#addresses.start()
    // Replicas that are discovered later need the catalog as well.
    if (set.replicas.length > 0 || this.#discovery.isAny) catalog.read()
    else {
      warn('WRITE_PINNING_NO_REPLICAS', `Cluster '${name}' has no replicas; everything runs on its primary.`)
    }
  }
}

function poolOf(
  { name, role, givenPool, openPool, maxLifetimeSeconds }: NodeOptions,
  { enforceReadOnly, replicaSet: { connectTimeoutMs } }: RouterSettings,
  lookup: RouterSettings['replicaSet']['lookup'],
  opened: ((pool: PoolLike) => void) | undefined,
): NodePool {
  const open = async () => {
    const pool = await openPool()
    opened?.(pool)
    return pool
  }
  const isReplica = role === 'replica'
  return new NodePool({
    ...{
      name,
      given: givenPool,
      open,
      isReplica,
      enforceReadOnly,
      connectTimeoutMs,
      maxLifetimeSeconds,
      lookup,
    },
  })
}

function ignore(): void {}
