import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import { importPeer } from '../import-peer.ts'
import { type Framework, isHttps, type Log, NO_ROUTE, processLog, type RouteName } from '../pinning/index.ts'

/** What Fastify is to the request side. */
export async function frameworkOf(app: FastifyInstance): Promise<Framework<FastifyRequest>> {
  return {
    isHttps,
    routeOf: routeNameOf,
    logOf: ({ log }) => logOf(log),
    log: logOf(app.log),
    serializeCookie: await cookieSerializer(app),
  }
}

/** The route of a request, as a warning names it. */
export function routeNameOf({ method, routeOptions: { url } }: FastifyRequest): RouteName {
  const name = url === undefined ? NO_ROUTE : `${method} ${url}`
  return { key: name, name }
}

/** The application's log; without a `logger`, Fastify's own says nothing to anybody, so that the process warns instead. */
export function logOf(log: FastifyBaseLogger): Log {
  return isSilent(log) ? processLog : log
}

/** Fastify's has no level, and is its own child. */
function isSilent(log: FastifyBaseLogger): boolean {
  return log.level === undefined && Object.hasOwn(log, 'child') && log.child({}) === log
}

/** `@fastify/cookie` loads what serializes cookies when it is registered: where nobody has, it is, out of the way. */
async function cookieSerializer(app: FastifyInstance): Promise<Framework<FastifyRequest>['serializeCookie']> {
  if (app.hasDecorator('serializeCookie')) return app.serializeCookie
  // Its `default`: a bundler may give no other name of a CommonJS package.
  const { default: fastifyCookie } = await importPeer(
    'write-pinning/fastify',
    '@fastify/cookie',
    () => import('@fastify/cookie'),
  )
  let serialize: FastifyInstance['serializeCookie'] | undefined
  await app.register(async (child) => {
    await child.register(fastifyCookie, { hook: false })
    serialize = child.serializeCookie
  })
  return serialize as FastifyInstance['serializeCookie']
}
