import { CLIENTS, type Client } from './database/open.ts'
import type { Servers } from './database/servers.ts'
import { StartError } from './start-error.ts'

export interface Settings {
  readonly host: string
  readonly port: number
  readonly framework: 'fastify' | 'express'
  /** The library with which the shop queries its database. */
  readonly client: Client
  /** `undefined`: the shop starts its own servers. */
  readonly servers: Servers | undefined
}

/** @throws {StartError} for a value that would fail later with a message that says less. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    host: env.HOST || '127.0.0.1',
    port: readPort(env.PORT || '3000'),
    framework: readFramework(env.FRAMEWORK || 'fastify'),
    client: readClient(env.CLIENT || 'kysely'),
    servers: readServers(env),
  }
}

function readPort(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new StartError(
    `PORT is “${text}”, which is not a port: give a number from 0 (any free one) to 65535.`,
  )
}

function readFramework(text: string): 'fastify' | 'express' {
  if (text === 'fastify' || text === 'express') return text
  throw new StartError(`FRAMEWORK is “${text}”: the shop runs on “fastify”, and its data on “express”.`)
}

function readClient(text: string): Client {
  const client = CLIENTS.find((known) => known === text)
  if (client !== undefined) return client
  throw new StartError(`CLIENT is “${text}”: the shop asks its database with one of ${CLIENTS.join(', ')}.`)
}

function readServers({ DATABASE_URL, DATABASE_REPLICA_URLS }: NodeJS.ProcessEnv): Servers | undefined {
  const replicas = (DATABASE_REPLICA_URLS ?? '').split(',').flatMap((url) => url.trim() || [])
  if (!DATABASE_URL) {
    if (replicas.length === 0) return undefined
    throw new StartError('DATABASE_REPLICA_URLS is set, but DATABASE_URL, the primary, is not.')
  }
  return {
    primary: checkUrl('DATABASE_URL', DATABASE_URL),
    replicas: replicas.map((url) => checkUrl('DATABASE_REPLICA_URLS', url)),
  }
}

// The error leaves the value out: it may hold a password.
function checkUrl(name: string, url: string): string {
  if (/^postgres(ql)?:/.test(url) && URL.canParse(url)) return url
  throw new StartError(
    `${name} is not a PostgreSQL address, such as postgres://user:password@host:5432/name.`,
  )
}
