import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
// biome-ignore lint/suspicious/noTsIgnore: the compiler copies it into the declarations, for projects in which Express has no types.
/** @ts-ignore */
import type { Request } from 'express'
import { isDbWrite, mergeMarks, type RouteMarks } from '../pinning/index.ts'

/**
 * The request that the functions among the options are given: Express's own, as the project's `@types/express` has it; where that is not
 * there, Node's with what this package adds.
 */
export type MiddlewareRequest = IsKnown extends true ? Request : IncomingMessage & Express.Request

// What cannot be imported has every key. (A type that holds the missing one itself would be missing, too.)
type IsKnown = string extends keyof Request ? false : true

// What Node.js gives is enough, so that the middleware stands in front of other frameworks, and of none, as well.
export type NodeRequest = IncomingMessage | Http2ServerRequest
export type NodeResponse = ServerResponse | Http2ServerResponse

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

export function isRoute(route: unknown): route is MatchedRoute {
  return typeof route === 'object' && route !== null
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

export function baseUrlOf({ baseUrl }: { readonly baseUrl?: unknown }): string {
  return typeof baseUrl === 'string' ? baseUrl : ''
}

export function patternOf({ path }: MatchedRoute): string {
  return typeof path === 'string' || path instanceof RegExp || Array.isArray(path) ? String(path) : ''
}

// A router that is mounted with a parameter (`/users/:id`) has the value in its base URL, and Express keeps no pattern.
export function withoutValues(baseUrl: string): string {
  return baseUrl.replace(/[^/]+/g, (part) => (WORD.test(part) ? part : ':'))
}

const WORD = /^(?:[a-z][a-z_-]{0,30}|v\d{1,3})$/i

/** What a route's handlers say of it: `markRoute()` wins over `dbWrite()`, and a later mark over an earlier one. */
export function marksOfLayers(layers: readonly Layer[]): RouteMarks {
  const marks = layers.map(({ handle }) => marksOf(handle))
  return mergeMarks([
    layers.some(({ handle }) => isDbWrite(handle)) ? { dbWrite: true } : undefined,
    ...marks,
  ])
}

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
