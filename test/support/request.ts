import { type Kysely, sql } from 'kysely'
import { expect, vi } from 'vitest'
import { openRequestContext, type RoutingContext, runInContext } from '../../src/freshness/context.ts'
import { createMemory, type RequestMemory } from '../../src/freshness/memory.ts'
import type { Database } from './cluster.ts'
import { whereAndWhy } from './routes.ts'

/** A request without HTTP: its memory, and a function that runs code in its context. */
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

/** The role and the reason of each statement that `fn` sends, in a request of its own. */
export function whereAndWhyInRequest(fn: () => unknown): Promise<string[]> {
  return whereAndWhy(() => inRequest(async () => fn()))
}

/** The route of a read in a request, after `fn` has run in it. */
export async function routeAfter(
  request: Request,
  fn: () => unknown,
  read: () => unknown,
): Promise<string | undefined> {
  await request.run(async () => fn())
  const [route] = await whereAndWhy(() => request.run(read))
  return route
}

/** Whether a statement counts as a write of the request that sends it. */
export async function countsAsWrite(db: Kysely<Database>, text: string): Promise<boolean> {
  const request = openRequest()
  await request.run(() => sql.raw(text).execute(db))
  return request.memory.wroteTo !== undefined
}

/** Waits until the dialect has read the whole catalog of a shop. From then on, it knows that the table is plain. */
export async function whenCatalogIsRead(db: Kysely<Database>): Promise<void> {
  await vi.waitFor(
    async () => expect(await countsAsWrite(db, 'delete from public.item where id = -1')).toBe(false),
    {
      timeout: 20_000,
    },
  )
}
