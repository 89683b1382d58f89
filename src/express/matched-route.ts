import { isDbWrite, mergeMarks, type RouteMarks } from '../pinning/index.ts'

/** Marks a handler as one that enters the request's context anew, and says what the route is, where it is `markRoute()`'s. */
export function setMarks(handler: object, marks: RouteMarks): void {
  Object.defineProperty(handler, MARKS, { value: marks })
}

/** The marks that a handler stands for; none of its own where it is the middleware; undefined where it is another's. */
export function marksOf(handler: unknown): RouteMarks | undefined {
  return typeof handler === 'function' ? (handler as { [MARKS]?: RouteMarks })[MARKS] : undefined
}

// Two copies of this package see each other's.
const MARKS = Symbol.for('write-pinning.marks.v1')

/** The parts of Express's route that are looked at; none of them must be there, and another framework may put what it likes in its place. */
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
  const layers: readonly Layer[] = route.stack.filter((layer) => typeof layer?.handle === 'function')
  const method = requestMethod.toLowerCase()
  // As Express does it: a HEAD runs the handlers of GET where it has none of its own.
  const own = method === 'head' && route.methods?.head !== true ? 'get' : method
  return layers.filter((layer) => layer.method === undefined || layer.method === own)
}

/** What a route's handlers say of it: `markRoute()` wins over `dbWrite()`, and a later mark over an earlier one. */
export function marksOfLayers(layers: readonly Layer[]): RouteMarks {
  const marks = layers.map(({ handle }) => marksOf(handle))
  return mergeMarks([
    layers.some(({ handle }) => isDbWrite(handle)) ? { dbWrite: true } : undefined,
    ...marks,
  ])
}
