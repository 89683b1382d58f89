import type { PoolConfig } from 'pg'
import { WritePinningError } from '../errors.ts'
import { notSupportedYet, optionError, refuseUnknownOptions } from '../options.ts'
import { isPool, type PoolLike } from './pool.ts'

/**
 * What a node's connections come from: a `pg` pool, its configuration, a connection string, or a function. Undefined
 * is there for `process.env.…`, and refused when the dialect is made.
 */
export type PoolInput = PoolLike | PoolConfig | string | undefined | (() => PoolLike | Promise<PoolLike>)

/** A node, as an option gives it. */
export type NodeInput = PoolInput | { name?: string; pool: PoolInput }

/** One server of a cluster. */
export interface Node {
  readonly name: string
  readonly role: 'primary' | 'replica'
  /** Gives the node's pool; where the option did not bring one, each call makes one. */
  openPool(): Promise<PoolLike>
}

/** The primary and the replicas of one cluster. */
export interface ClusterNodes {
  readonly primary: Node
  readonly replicas: readonly Node[]
}

/**
 * Reads the options `primary` and `replicas`.
 *
 * @throws {WritePinningError} where a node is missing, a connection string is empty, or a name or pool comes twice.
 */
export function clusterNodes(where: string, primary: unknown, replicas: unknown): ClusterNodes {
  if (!Array.isArray(replicas)) {
    throw optionError(where, 'replicas', replicas, 'an array of nodes; `[]` where there is none')
  }
  const seen: Seen = { names: new Set(), pools: new Map() }
  return {
    primary: node(`${where}: \`primary\``, primary, 'primary', 'primary', seen),
    replicas: replicas.map((each, index) =>
      node(`${where}: \`replicas[${index}]\``, each, `replica-${index + 1}`, 'replica', seen),
    ),
  }
}

/** What the nodes before had: a name, or a pool, is one node's. */
interface Seen {
  readonly names: Set<string>
  readonly pools: Map<PoolLike, string>
}

function node(where: string, input: unknown, defaultName: string, role: Node['role'], seen: Seen): Node {
  const { name = defaultName, pool } = isNodeObject(input) ? nodeObject(where, input) : { pool: input }
  if (typeof name !== 'string' || name === '') throw nodeError(`${where}: \`name\` must be a name.`)
  if (seen.names.has(name))
    throw nodeError(`${where}: there is another node called '${name}'; a name is one node's.`)
  seen.names.add(name)
  return { name, role, openPool: poolOpener(where, pool, seen) }
}

function isNodeObject(input: unknown): input is { name?: unknown; pool?: unknown } {
  if (typeof input !== 'object' || input === null || isPool(input)) return false
  return 'pool' in input || 'name' in input
}

function nodeObject(
  where: string,
  input: { name?: unknown; pool?: unknown },
): { name?: unknown; pool: unknown } {
  for (const option of NOT_YET) if (option in input) throw notSupportedYet(where, option)
  refuseUnknownOptions(where, input, ['name', 'pool'])
  return { ...input, pool: input.pool }
}

function poolOpener(where: string, input: unknown, seen: Seen): Node['openPool'] {
  if (isPool(input)) {
    const pool = checkPool(where, input, seen)
    return async () => pool
  }
  if (typeof input === 'function') return async () => checkPool(where, await input(), seen)
  if (typeof input === 'string') {
    if (input.trim() === '') throw emptyConnectionString(where)
    return () => poolOf({ connectionString: input })
  }
  if (input === undefined || input === null) throw emptyConnectionString(where)
  if (typeof input !== 'object' || Array.isArray(input)) throw nodeError(`${where} must be ${A_POOL}.`)
  refuseEmptyConnectionString(where, input)
  return () => poolOf(input)
}

function checkPool(where: string, pool: unknown, seen: Seen): PoolLike {
  if (!isPool(pool)) throw nodeError(`${where}: the function must give a pg Pool.`)
  // A pg Client, which also has `connect` and `end`, is one connection and no pool.
  if ('connectionParameters' in pool) throw nodeError(`${where} is a pg Client; it must be ${A_POOL}.`)
  const owner = seen.pools.get(pool) ?? where
  if (owner !== where) throw nodeError(`${where} is the same Pool object as ${owner}.`)
  seen.pools.set(pool, where)
  refuseEmptyConnectionString(where, pool.options ?? {})
  return pool
}

// `pg` is loaded only where a pool is to be made of it.
async function poolOf(config: PoolConfig): Promise<PoolLike> {
  const { default: pg } = await import('pg')
  return new pg.Pool(config) as PoolLike
}

function refuseEmptyConnectionString(where: string, config: object): void {
  if (!('connectionString' in config)) return
  const { connectionString } = config
  if (typeof connectionString !== 'string' || connectionString.trim() === '')
    throw emptyConnectionString(where)
}

function emptyConnectionString(where: string): WritePinningError {
  return nodeError(
    `${where} has no connection string: it is undefined or empty, and pg would connect to localhost without a word. ` +
      'Is the environment variable set?',
  )
}

function nodeError(message: string): WritePinningError {
  return new WritePinningError('ERR_WRITE_PINNING_NODE', message)
}

const NOT_YET = ['weight', 'maxLagMs']
const A_POOL =
  'a pg Pool, its configuration, a connection string, a function that gives a pool, or { name, pool }'
