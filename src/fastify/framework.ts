import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import { importPeer } from '../import-peer.ts'
import { type Framework, isHttps, type Log, NO_ROUTE, processLog, type RouteName } from '../pinning/index.ts'

/** Fastify, as the request side needs it. */
export async function frameworkOf(app: FastifyInstance): Promise<Framework<FastifyRequest>> {
  return {
    isHttps,
    routeOf: routeNameOf,
    logOf: ({ log }) => logOf(log),
    log: logOf(app.log),
    serializeCookie: await cookieSerializer(app),
  }
}

/** The route of a request, as warnings name it. */
export function routeNameOf({ method, routeOptions: { url } }: FastifyRequest): RouteName {
  const name = url === undefined ? NO_ROUTE : `${method} ${url}`
  return { key: name, name }
}

/**
 * The application's log. Without the option `logger`, Fastify's own log discards everything, so process warnings take
 * its place.
 */
export function logOf(log: FastifyBaseLogger): Log {
  return isSilent(log) ? processLog : log
}

/** Whether this is the log that discards everything: it has no level, and is its own child. */
function isSilent(log: FastifyBaseLogger): boolean {
  return log.level === undefined && Object.hasOwn(log, 'child') && log.child({}) === log
}

/**
 * `@fastify/cookie` loads its serializer when it is registered. If the application has not registered that plugin,
 * this registers it, in a child of its own.
 */
async function cookieSerializer(app: FastifyInstance): Promise<Framework<FastifyRequest>['serializeCookie']> {
  if (app.hasDecorator('serializeCookie')) return app.serializeCookie
  // By `default`: a bundler may give no other name of a CommonJS package.
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
