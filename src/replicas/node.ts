import type { PoolConfig } from 'pg'
import { WritePinningError } from '../errors.ts'
import { optionError, refuseUnknownOptions } from '../options.ts'
import { isPool, type PoolLike } from './pool.ts'

/** What a node's connections come from: a `pg` pool, its configuration, a connection string, or a function. */
export type PoolInput = PoolLike | PoolConfig | string | (() => PoolLike | Promise<PoolLike>)

/** A node, as an option gives it. */
export type NodeInput = PoolInput | { name?: string; pool: PoolInput }

/** One server of a cluster. */
export interface Node {
  readonly name: string
  readonly role: 'primary' | 'replica'
  /** Gives the node's pool, made at the first call where the option did not bring one. */
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
  const seen: Seen = { names: new Set(), pools: new Set() }
  return {
    primary: node(`${where}: \`primary\``, primary, 'primary', 'primary', seen),
    replicas: replicas.map((each, index) =>
      node(`${where}: \`replicas[${index}]\``, each, `replica-${index + 1}`, 'replica', seen),
    ),
  }
}

interface Seen {
  readonly names: Set<string>
  readonly pools: Set<PoolLike>
}

function node(where: string, input: unknown, defaultName: string, role: Node['role'], seen: Seen): Node {
  const { name = defaultName, pool } = isNodeObject(input) ? nodeObject(where, input) : { pool: input }
  if (typeof name !== 'string' || name === '') throw nodeError(`${where}: \`name\` must be a name.`)
  if (seen.names.has(name))
    throw nodeError(`${where}: there is another node called '${name}'; a name is one node's.`)
  seen.names.add(name)
  return { name, role, openPool: poolOpener(where, pool, seen) }
}

function nodeObject(
  where: string,
  input: { name?: unknown; pool: unknown },
): { name?: unknown; pool: unknown } {
  refuseUnknownOptions(where, input, ['name', 'pool'])
  return input
}

function isNodeObject(input: unknown): input is { name?: unknown; pool: unknown } {
  return typeof input === 'object' && input !== null && !isPool(input) && 'pool' in input
}

function poolOpener(where: string, input: unknown, seen: Seen): Node['openPool'] {
  if (isPool(input)) {
    if (seen.pools.has(input)) throw nodeError(`${where} is the same Pool object as another node.`)
    seen.pools.add(input)
    refuseEmptyConnectionString(where, input.options ?? {})
    return async () => input
  }
  if (typeof input === 'function') return once(async () => madePool(where, await input()))
  if (typeof input === 'string') {
    if (input.trim() === '') throw emptyConnectionString(where)
    return once(() => poolOf({ connectionString: input }))
  }
  if (typeof input === 'object' && input !== null && !Array.isArray(input)) {
    refuseEmptyConnectionString(where, input)
    return once(() => poolOf(input))
  }
  if (input === undefined || input === null) throw emptyConnectionString(where)
  throw nodeError(`${where} must be a pg Pool, its configuration, a connection string, or { name, pool }.`)
}

function madePool(where: string, made: unknown): PoolLike {
  if (isPool(made)) return made
  throw nodeError(`${where}: the function must give a pg Pool.`)
}

// `pg` is loaded only where a pool is to be made of it.
async function poolOf(config: PoolConfig): Promise<PoolLike> {
  const { default: pg } = await import('pg')
  return new pg.Pool(config) as PoolLike
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () => {
    made ??= make().catch((error: unknown) => {
      made = undefined
      throw error
    })
    return made
  }
}

function refuseEmptyConnectionString(where: string, config: object): void {
  if ('connectionString' in config && !config.connectionString) throw emptyConnectionString(where)
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
