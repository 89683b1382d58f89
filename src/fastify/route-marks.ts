import type { FastifyRequest, RouteOptions } from 'fastify'
import { optionError } from '../options.ts'
import { isDbWrite } from '../pinning/db-write.ts'
import type { RouteMarks } from '../pinning/policy.ts'

/** An `onRoute` hook: refuses a route whose marks are wrong, where the route is defined. */
export function checkRouteMarks(route: RouteOptions): void {
  const { dbWrite, readFrom } = (route.config ?? {}) as Record<keyof RouteMarks, unknown>
  const where = `The config of ${String(route.method)} ${route.url}`
  if (dbWrite !== undefined && typeof dbWrite !== 'boolean') {
    throw optionError(where, 'dbWrite', dbWrite, 'true or false')
  }
  if (readFrom !== undefined && (typeof readFrom !== 'string' || readFrom === '')) {
    throw optionError(where, 'readFrom', readFrom, "'primary', 'replica', or the name of a node")
  }
}

/** The marks of the route that a request reached; undefined where it reached none. */
export function marksOfRoute(request: FastifyRequest): RouteMarks | undefined {
  const { config, handler, url } = request.routeOptions
  if (url === undefined) return undefined
  let marks = marksByConfig.get(config)
  if (marks === undefined) {
    marks = readMarks(config as Record<keyof RouteMarks, unknown>, handler)
    marksByConfig.set(config, marks)
  }
  return marks
}

// A route's config is one object for as long as the application lives.
const marksByConfig = new WeakMap<object, RouteMarks>()

/**
 * Routes that were defined before the plugin was registered did not come by the `onRoute` hook, so their
 * marks may be wrong: anything but `false` that is there makes the route a write, which is the safe side.
 */
function readMarks(config: Record<keyof RouteMarks, unknown>, handler: unknown): RouteMarks {
  const { dbWrite, readFrom } = config
  const isMarked =
    dbWrite === undefined || dbWrite === null ? isDbWrite(handler) || undefined : dbWrite !== false
  return {
    dbWrite: isMarked,
    readFrom: typeof readFrom === 'string' && readFrom !== '' ? readFrom : undefined,
  }
}
