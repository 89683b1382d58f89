import type { PoolConfig } from 'pg'
import { importPeer } from '../import-peer.ts'
import { OptionReader, optionError } from '../options.ts'
import { checkedConnectionString, nodeError } from './connection-string.ts'
import { hostOfString } from './host.ts'
import { isPool, type PoolLike } from './pool.ts'
import { A_POOL, checkConfigOfPool, checkedPoolConfig, refuseSettingsOfPool } from './pool-config.ts'

/**
 * Where a node's connections come from: a `pg` pool, a pool's configuration, a connection string, or a function that
 * makes a pool. The type allows undefined, so that `process.env.…` compiles. An undefined value is refused when the
 * dialect or pool is made.
 */
export type PoolInput = PoolLike | PoolConfig | string | undefined | (() => PoolLike | Promise<PoolLike>)

/** A node with options of its own. */
export interface NodeObject {
  /** Its name in `useNode()`, `readFrom`, events and `status()`. Default: `primary`, `replica-1`, … */
  name?: string
  /** Where its connections come from. */
  pool: PoolInput
  /**
   * Its share of the reads, relative to the weights of the other replicas. With 0 it serves only reads that name it.
   * Default: 1.
   */
  weight?: number
  /** How much it may lag and still serve reads, in ms. Default: the `maxLagMs` of the dialect or pool. */
  maxLagMs?: number
  /**
   * After how many seconds a connection is replaced, less up to a fifth at random. Default: never, or what your pool
   * says.
   */
  maxLifetimeSeconds?: number
  /**
   * Whether several servers answer at this one address (Aurora's reader endpoint, HAProxy). Then a WAL position says
   * something about one connection only. Default: false.
   */
  loadBalanced?: boolean
  /**
   * Makes one node per address of a host name. `pool` must then be a configuration or a connection string. Default:
   * one node.
   */
  discover?: DiscoverOptions
}

/**
 * Options of `discover`, which makes one node per address of a host name, such as that of a headless service in
 * Kubernetes.
 */
export interface DiscoverOptions {
  /** The host name. Default: the host of the node's `pool`. */
  host?: string
  /** How often the name is looked up, in ms. Default: 30,000. */
  intervalMs?: number
}

/** A node, as the options `primary` and `replicas` take it. */
export type NodeInput = PoolInput | NodeObject

/** One server of a cluster, by the checked options. */
export interface NodeOptions {
  readonly name: string
  readonly role: 'primary' | 'replica'
  readonly weight: number
  readonly maxLagMs: number | undefined
  readonly maxLifetimeSeconds: number | undefined
  readonly loadBalanced: boolean
  /** The host name to discover nodes by; undefined for a node that is one server. */
  readonly discover: DiscoverSettings | undefined
  /** The pool that the option is, if it is one. */
  readonly givenPool: PoolLike | undefined
  /** Gives the node's pool. If the option brought no pool, each call makes one. */
  openPool(): Promise<PoolLike>
}

/** Which host name is looked up, and how often. */
type DiscoverSettings = Readonly<Required<DiscoverOptions>>

/** The primary and the replicas of one cluster. */
export interface ClusterNodes {
  readonly primary: NodeOptions
  readonly replicas: readonly NodeOptions[]
}

/**
 * Reads the options `primary` and `replicas`.
 *
 * @throws {WritePinningError} if a node is missing, a connection string is empty, or a name or pool comes twice.
 */
export function clusterNodes(where: string, primary: unknown, replicas: unknown): ClusterNodes {
  if (!Array.isArray(replicas)) {
    throw optionError(where, 'replicas', replicas, 'an array of nodes: write `[url]` for one, `[]` for none')
  }
  const seen: Seen = { names: new Set(), pools: new Map() }
  return {
    primary: node(`${where}: \`primary\``, primary, 'primary', 'primary', seen),
    replicas: replicas.map((each, index) =>
      node(`${where}: \`replicas[${index}]\``, each, `replica-${index + 1}`, 'replica', seen),
    ),
  }
}

/** The names and pools of the nodes that were read before. No other node may have them. */
interface Seen {
  readonly names: Set<string>
  readonly pools: Map<PoolLike, string>
}

function node(
  where: string,
  input: unknown,
  defaultName: string,
  role: NodeOptions['role'],
  seen: Seen,
): NodeOptions {
  const read = nodeReader(where, input, role)
  const { name = defaultName, pool } = read.given
  if (typeof name !== 'string' || name === '') throw nodeError(`${where}: \`name\` must be a name.`)
  if (seen.names.has(name))
    throw nodeError(`${where}: there is another node called '${name}'; a name is one node's.`)
  seen.names.add(name)
  return {
    name,
    role,
    givenPool: isPool(pool) ? pool : undefined,
    openPool: poolOpener(where, pool, seen),
    discover: discoverSettings(read),
    weight: read.number('weight', 1, WEIGHT),
    maxLagMs: read.number('maxLagMs', undefined, MS),
    maxLifetimeSeconds: read.number('maxLifetimeSeconds', undefined, LIFETIME),
    loadBalanced: read.boolean('loadBalanced', false),
  }
}

function nodeReader(where: string, input: unknown, role: NodeOptions['role']): OptionReader<NodeObject> {
  const known = role === 'primary' ? OPTIONS_OF_ANY_NODE : OPTIONS_OF_REPLICA
  if (!isNodeObject(input)) return new OptionReader(where, { pool: input })
  refuseSettingsOfPool(where, input, known)
  return new OptionReader(where, input, known)
}

function isNodeObject(input: unknown): input is object {
  if (typeof input !== 'object' || input === null || isPool(input)) return false
  return OPTIONS_OF_NODE_ONLY.some((name) => name in input)
}

function poolOpener(where: string, input: unknown, seen: Seen): NodeOptions['openPool'] {
  if (isPool(input)) {
    const pool = checkPool(where, input, seen)
    return async () => pool
  }
  if (typeof input === 'function') return async () => checkPool(where, await input(), seen)
  if (input === undefined || input === null || typeof input === 'string') {
    const connectionString = checkedConnectionString(where, input)
    return () => poolOf({ connectionString })
  }
  if (typeof input !== 'object' || Array.isArray(input)) throw nodeError(`${where} must be ${A_POOL}.`)
  const config = checkedPoolConfig(where, input)
  return () => poolOf(config)
}

function checkPool(where: string, pool: unknown, seen: Seen): PoolLike {
  if (!isPool(pool)) throw nodeError(`${where}: the function must give a pg Pool.`)
  // A pg Client also has `connect` and `end`, but it is one connection and no pool.
  if ('connectionParameters' in pool) throw nodeError(`${where} is a pg Client; it must be ${A_POOL}.`)
  const owner = seen.pools.get(pool) ?? where
  if (owner !== where) {
    throw nodeError(
      `${where} is the same Pool object as ${owner}: give each node a Pool of its own, or, where there is one server, write \`replicas: []\`.`,
    )
  }
  seen.pools.set(pool, where)
  checkConfigOfPool(where, pool)
  return pool
}

// Loads `pg` only if a pool has to be made.
async function poolOf(config: PoolConfig): Promise<PoolLike> {
  const { default: pg } = await importPeer('A node that is no Pool', 'pg', () => import('pg'))
  return new pg.Pool(config) as PoolLike
}

/** Reads the option `discover` of a node. A pool must be made for each address, so `pool` must say how. */
function discoverSettings(ofNode: OptionReader<NodeObject>): DiscoverSettings | undefined {
  const { discover, pool } = ofNode.given
  if (discover === undefined) return undefined
  const { where } = ofNode
  const read = new OptionReader<DiscoverOptions>(where, discover, ['host', 'intervalMs'], {
    within: 'discover',
  })
  if (typeof pool === 'function' || isPool(pool)) {
    throw ofNode.wrong('pool', 'a configuration or a connection string, where there is `discover`')
  }
  const host = read.given.host ?? hostOfConfig(pool)
  if (typeof host !== 'string' || host === '') throw optionError(where, 'discover.host', host, 'a host name')
  return { host, intervalMs: read.number('intervalMs', 30_000, INTERVAL) }
}

function hostOfConfig(pool: unknown): unknown {
  if (typeof pool === 'string') return hostOfString(pool)
  if (typeof pool !== 'object' || pool === null) return undefined
  const { connectionString, host } = pool as { connectionString?: string; host?: string }
  return hostOfString(connectionString) ?? host
}

const OPTIONS_OF_ANY_NODE: readonly (keyof NodeObject)[] = ['name', 'pool', 'maxLifetimeSeconds']
const OPTIONS_OF_REPLICA: typeof OPTIONS_OF_ANY_NODE = [
  ...OPTIONS_OF_ANY_NODE,
  'weight',
  'maxLagMs',
  'loadBalanced',
  'discover',
]
/** The options that tell a node object from a configuration of `pg`, which has `maxLifetimeSeconds` too. */
const OPTIONS_OF_NODE_ONLY = OPTIONS_OF_REPLICA.filter((name) => name !== 'maxLifetimeSeconds')
const WEIGHT = { min: 0, max: 1_000_000, expected: 'a number from 0 on' }
const MS = { min: 0, max: Number.MAX_SAFE_INTEGER, expected: 'a number of milliseconds from 0 on' }
const LIFETIME = { min: 1, max: 2_000_000, expected: 'a number of seconds from 1 on' }
const INTERVAL = { min: 100, max: 86_400_000, expected: 'a number of milliseconds from 100 on' }
