import type { FastifyRequest, RouteOptions } from 'fastify'
import { lettersOf } from '../nearest-name.ts'
import { unknownOption } from '../options.ts'
import { checkMarks, isDbWrite, type RouteMarks } from '../pinning/index.ts'
import { logOf } from './framework.ts'

/** An `onRoute` hook: refuses a route with wrong marks when it is defined. */
export function checkRouteMarks({
  method,
  url,
  config,
}: Pick<RouteOptions, 'method' | 'url' | 'config'>): void {
  const where = `The config of ${String(method)} ${url}`
  for (const [name, mark] of misspelledMarks(config ?? {})) {
    throw unknownOption(`${where} has no mark \`${name}\`; did you mean \`${mark}\`?`)
  }
  checkMarks(where, config ?? {})
}

/** The marks of the route that a request reached; undefined if it reached none. */
export function marksOfRoute(request: FastifyRequest): RouteMarks | undefined {
  const { config, handler, method, url } = request.routeOptions
  if (url === undefined) return undefined
  let marks = marksByConfig.get(config)
  if (marks === undefined) {
    marks = readMarks(config as Record<keyof RouteMarks, unknown>, handler)
    marksByConfig.set(config, marks)
    try {
      checkRouteMarks({ method, url, config })
    } catch (error) {
      logOf(request.log).warn((error as Error).message)
    }
  }
  return marks
}

/** The keys of a route's config that are the name of a mark in another spelling. All others belong to other plugins. */
function misspelledMarks(config: object): [name: string, mark: keyof RouteMarks][] {
  return Object.keys(config).flatMap((name) => {
    const mark = MARK_OF_LETTERS.get(lettersOf(name))
    return mark === undefined || name === mark ? [] : [[name, mark]]
  })
}

const MARK_OF_LETTERS = new Map<string, keyof RouteMarks>([
  ['dbwrite', 'dbWrite'],
  ['readfrom', 'readFrom'],
])

// A route's config is the same object for as long as the application lives.
const marksByConfig = new WeakMap<object, RouteMarks>()

/**
 * Reads the marks of a route. The `onRoute` hook has not checked routes that were defined before the plugin was
 * registered, so a mark may be wrong, in value or in name. Then any `dbWrite` but `false` makes the route a write, to
 * be safe.
 */
function readMarks(config: Record<keyof RouteMarks, unknown>, handler: unknown): RouteMarks {
  const { dbWrite, readFrom } = config
  const isMarked =
    dbWrite === undefined || dbWrite === null
      ? isDbWrite(handler) || isMisspelledWrite(config) || undefined
      : dbWrite !== false
  return {
    dbWrite: isMarked,
    readFrom: typeof readFrom === 'string' && readFrom !== '' ? readFrom : undefined,
  }
}

function isMisspelledWrite(config: object): boolean {
  const values = config as Record<string, unknown>
  return misspelledMarks(config).some(([name, mark]) => mark === 'dbWrite' && values[name] !== false)
}
