import { isDbWrite } from '../pinning/db-write.ts'
import type { RouteMarks } from '../pinning/policy.ts'

interface Shared {
  readonly marksByHandler: WeakMap<object, RouteMarks>
  readonly reentering: WeakSet<object>
}

// Two copies of this package in one process (`require()` and `import` make two) know each other's handlers. Versioned, so that a
// later, incompatible one does not.
const SHARED = Symbol.for('write-pinning.express-handlers.v1')
const holder = globalThis as { [SHARED]?: Shared }
holder[SHARED] ??= { marksByHandler: new WeakMap(), reentering: new WeakSet() }
const shared: Shared = holder[SHARED]

/** The marks that each handler made by `markRoute()` stands for. */
export const { marksByHandler } = shared

/** The handlers that enter the request's context anew, whoever has lost it before them. */
export const { reentering } = shared

/** The parts of Express's route that are looked at; none of them must be there. */
export interface MatchedRoute {
  readonly path?: unknown
  readonly methods?: { readonly head?: boolean }
  readonly stack?: readonly Layer[]
}

/** One handler of a route. */
export interface Layer {
  readonly method?: string
  readonly handle: unknown
}

/** The layers of a route that will run for a request with this method, in their order. */
export function layersOf(route: MatchedRoute, requestMethod: string): readonly Layer[] {
  if (!Array.isArray(route.stack)) return []
  const method = requestMethod.toLowerCase()
  // As Express does it: a HEAD runs the handlers of GET where it has none of its own.
  const own = method === 'head' && route.methods?.head !== true ? 'get' : method
  return route.stack.filter((layer) => layer.method === undefined || layer.method === own)
}

/** What a route's handlers say of it: `markRoute()` wins over `dbWrite()`, and a later mark over an earlier one. */
export function marksOfLayers(layers: readonly Layer[]): RouteMarks {
  const marks = layers.map(({ handle }) => marksByHandler.get(handle as object))
  return mergeMarks([
    layers.some(({ handle }) => isDbWrite(handle)) ? { dbWrite: true } : undefined,
    ...marks,
  ])
}

/** The last of several marks that says something, for each mark by itself. */
export function mergeMarks(all: readonly (RouteMarks | undefined)[]): RouteMarks {
  let merged: RouteMarks = {}
  for (const marks of all) {
    if (marks === undefined) continue
    merged = { dbWrite: marks.dbWrite ?? merged.dbWrite, readFrom: marks.readFrom ?? merged.readFrom }
  }
  return merged
}
