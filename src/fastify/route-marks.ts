import type { FastifyRequest, RouteOptions } from 'fastify'
import { isDbWrite } from '../pinning/db-write.ts'
import type { RouteMarks } from '../pinning/policy.ts'
import { checkMarks } from '../pinning/route-marks.ts'

/** An `onRoute` hook: refuses a route whose marks are wrong, where the route is defined. */
export function checkRouteMarks(route: RouteOptions): void {
  checkMarks(`The config of ${String(route.method)} ${route.url}`, route.config ?? {})
}

/** The marks of the route that a request reached. */
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
