import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { expect, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { openRequestContext, type RoutingContext, runInContext } from '../../src/freshness/context.ts'
import { createMemory, type RequestMemory } from '../../src/freshness/memory.ts'
import type { Database } from '../support/cluster.ts'
import { whereAndWhy } from '../support/routes.ts'

/** The version of Kysely that is installed, as `0.28` or `0.29`. */
export const kyselyVersion: string = installedKysely()

function installedKysely(): string {
  const entry = fileURLToPath(import.meta.resolve('kysely'))
  const root = entry.slice(0, entry.lastIndexOf('/dist/'))
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string }
  return version.split('.').slice(0, 2).join('.')
}

/** A request without HTTP: its memory, and a function that runs code in it. */
export interface Request {
  readonly memory: RequestMemory
  readonly context: RoutingContext
  run<T>(fn: () => T): T
}

export function openRequest(
  pin: { pinningMs?: number; pinnedUntilMs?: number; write?: boolean } = {},
): Request {
  const { pinnedUntilMs: untilMs } = pin
  const carried = untilMs === undefined ? undefined : ({ kind: 'time', untilMs } as const)
  const memory = createMemory(pin.pinningMs ?? 15_000, carried, pin.write ?? false)
  const context = openRequestContext(memory)
  return { memory, context, run: (fn) => runInContext(context, fn) }
}

export function inRequest<T>(fn: () => T): T {
  return openRequest().run(fn)
}

/** What the package warned of while `fn` ran, code by code. */
export async function warningsOf(fn: () => unknown): Promise<string[]> {
  const codes: string[] = []
  const onWarning = (warning: Error & { code?: string }) => {
    if (warning.name === 'WritePinningWarning') codes.push(warning.code ?? '')
  }
  process.on('warning', onWarning)
  try {
    await fn()
    // Node.js emits a warning one tick later.
    await new Promise(setImmediate)
  } finally {
    process.off('warning', onWarning)
  }
  return codes
}

/** What the package told while `fn` ran, warning by warning. */
export async function messagesOf(fn: () => unknown): Promise<string[]> {
  const messages: string[] = []
  const onWarning = ({ name, message }: Error) => {
    if (name === 'WritePinningWarning') messages.push(message)
  }
  process.on('warning', onWarning)
  try {
    await warningsOf(fn)
  } finally {
    process.off('warning', onWarning)
  }
  return messages
}

/** The code of the error that `fn` throws or rejects with; undefined where it does neither. */
export async function codeOf(fn: () => unknown): Promise<unknown> {
  try {
    await fn()
  } catch (error) {
    return (error as { code?: unknown }).code
  }
  return undefined
}

/** What the server knows of the clients that are connected to it: of one pool's, or of all but the test's own. */
export function clientsOf(
  node: PostgresNode,
  application?: string,
): Promise<{ pid: number; state: string; query: string }[]> {
  return node.query(
    `select pid, state, query from pg_stat_activity where backend_type = 'client backend'
     and application_name <> 'write-pinning/testing' and application_name = coalesce($1, application_name)`,
    [application ?? null],
  )
}

/** A pool whose connections `clientsOf()` can tell from others. */
export function namedPool(node: PostgresNode, application: string, config: pg.PoolConfig = {}): pg.Pool {
  return new pg.Pool({ connectionString: node.connectionString, application_name: application, ...config })
}

/** Ends every client's backend on the node, and waits until it has; gives how many. A session that is just beginning has no name yet. */
export async function terminateClients(node: PostgresNode): Promise<number> {
  const ended = await node.query(
    `select pg_terminate_backend(pid, 10000) from pg_stat_activity
     where backend_type = 'client backend' and application_name <> '' and application_name not like 'write-pinning%'`,
  )
  return ended.length
}

/** How many clients of the pool are in use. */
export function inUse(pool: pg.Pool): number {
  return pool.totalCount - pool.idleCount
}

/** The role and the reason of each statement that `fn` sent in a request of its own. */
export function whereAndWhyInRequest(fn: () => unknown): Promise<string[]> {
  return whereAndWhy(() => inRequest(async () => fn()))
}

/** Whether a statement counts as a write of the request that sends it. */
export async function countsAsWrite(db: Kysely<Database>, text: string): Promise<boolean> {
  const request = openRequest()
  await request.run(() => sql.raw(text).execute(db))
  return request.memory.wroteTo !== undefined
}

/** Waits until the dialect has read the whole catalog of a shop: its table is known to be plain then. */
export async function whenCatalogIsRead(db: Kysely<Database>): Promise<void> {
  await vi.waitFor(
    async () => expect(await countsAsWrite(db, 'delete from public.item where id = -1')).toBe(false),
    {
      timeout: 20_000,
    },
  )
}
