import { type FastifyInstance, type FastifyPluginAsync, fastify } from 'fastify'
import type { Kysely } from 'kysely'
import type { Pin } from 'write-pinning'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { readToken } from '../../src/pinning/token.ts'
import type { Database } from './cluster.ts'
import { listen, type UserAgent } from './http.ts'
import { routesOf } from './routes.ts'

export const SECRET = 'a secret of at least thirty-two characters'

/** An application with exact pins over a real database, and a function that makes its user agents. */
export interface ExactShop {
  readonly app: FastifyInstance
  readonly openAgent: () => UserAgent
}

/**
 * Serves a shop: `POST /items/:name` adds an item, and `GET /items/:name` says whether it is there.
 * @example
 * const { app, openAgent } = await serveShop(db)
 */
export async function serveShop(
  db: Kysely<Database>,
  options: WritePinningOptions = {},
  routes: FastifyPluginAsync = async () => {},
): Promise<ExactShop> {
  const app = fastify()
  const { secret = SECRET, ...others } = options
  const isSigned = !('secret' in options) || options.secret !== undefined
  await app.register(writePinning, { pin: 'exact', ...(isSigned && { secret }), ...others })
  app.post<{ Params: { name: string } }>('/items/:name', async ({ params: { name } }) => {
    await db.insertInto('item').values({ name }).execute()
    return name
  })
  app.get<{ Params: { name: string } }>('/items/:name', async ({ params: { name } }) => {
    const found = await db.selectFrom('item').select('id').where('name', '=', name).execute()
    return { isThere: found.length > 0 }
  })
  await app.register(routes)
  return { app, openAgent: await listen(app) }
}

/** Whether a user agent sees an item. */
export async function sees(agent: UserAgent, name: string): Promise<boolean> {
  return (await agent.get(`/items/${name}`)).json().isThere
}

/** Whether a user agent sees an item, and the node that served that read. */
export async function seesOn(agent: UserAgent, name: string): Promise<[isThere: boolean, node: string]> {
  let isThere = false
  const routes = await routesOf(async () => {
    isThere = await sees(agent, name)
  })
  return [isThere, routes.map(({ node }) => node).join()]
}

/** What the pin of a user agent says; undefined if it has none. */
export async function pinOfAgent(agent: UserAgent): Promise<Pin | undefined> {
  return pinOfToken(await agent.pin())
}

/** What a token of the shop says. */
export function pinOfToken(token: string | undefined): Pin | undefined {
  if (token === undefined) return undefined
  const claim = readToken(token)
  if (typeof claim === 'string') throw new Error(`The pin is ${claim}`)
  return claim.pin
}

/** What a pin demands for one cluster: a position, or only the primary; undefined for nothing. */
export function heldBy(pin: Pin | undefined, cluster = 'default'): bigint | 'primary' | undefined {
  if (pin === undefined) return undefined
  if (pin.kind === 'time' || pin.primaryUntilMs > 0) return 'primary'
  const part = pin.clusters.get(cluster)
  if (part === undefined) return undefined
  return part.primaryUntilMs > 0 ? 'primary' : part.exact?.position.lsn
}
