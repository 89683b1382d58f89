import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
// biome-ignore lint/suspicious/noTsIgnore: the compiler copies it into the declarations, for projects in which Express has no types.
/** @ts-ignore */
import type { Request } from 'express'
import { isDbWrite, mergeMarks, type RouteMarks } from '../pinning/index.ts'

/**
 * The request that options get if they are functions: Express's own, as the project's `@types/express` declares it.
 * Without that package it is Node's request, with the property that this package adds.
 */
export type MiddlewareRequest = IsKnown extends true ? Request : IncomingMessage & Express.Request

// A type that cannot be imported has every key. (A type that is made of the missing one would count as missing, too.)
type IsKnown = string extends keyof Request ? false : true

// The objects of Node.js are enough. So the middleware also works in front of other frameworks, and without any.
export type NodeRequest = IncomingMessage | Http2ServerRequest
export type NodeResponse = ServerResponse | Http2ServerResponse

/**
 * The parts of Express's route that this package reads. Any of them may be missing: another framework may have put
 * anything in `request.route`.
 */
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

/** The layers of a route that will run for a request with this method, in order. */
export function layersOf(route: MatchedRoute, requestMethod: string): readonly Layer[] {
  if (!Array.isArray(route.stack)) return []
  const layers: readonly Layer[] = route.stack.filter((layer) => typeof layer?.handle === 'function')
  const method = requestMethod.toLowerCase()
  // As in Express: a HEAD runs the handlers of GET if the route has none for HEAD.
  const own = method === 'head' && route.methods?.head !== true ? 'get' : method
  return layers.filter((layer) => layer.method === undefined || layer.method === own)
}

export function baseUrlOf({ baseUrl }: { readonly baseUrl?: unknown }): string {
  return typeof baseUrl === 'string' ? baseUrl : ''
}

export function patternOf({ path }: MatchedRoute): string {
  return typeof path === 'string' || path instanceof RegExp || Array.isArray(path) ? String(path) : ''
}

// If a router is mounted with a parameter (`/users/:id`), its base URL holds the value, and Express keeps no pattern.
export function withoutValues(baseUrl: string): string {
  return baseUrl.replace(/[^/]+/g, (part) => (WORD.test(part) ? part : ':'))
}

const WORD = /^(?:[a-z][a-z_-]{0,30}|v\d{1,3})$/i

/** The marks of a route's handlers. `markRoute()` wins over `dbWrite()`, and a later mark over an earlier one. */
export function marksOfLayers(layers: readonly Layer[]): RouteMarks {
  const marks = layers.map(({ handle }) => marksOf(handle))
  return mergeMarks([
    layers.some(({ handle }) => isDbWrite(handle)) ? { dbWrite: true } : undefined,
    ...marks,
  ])
}

/**
 * Gives marks to a handler that enters the request's context again: those of `markRoute()`, or none for the
 * middleware.
 */
export function setMarks(handler: object, marks: RouteMarks): void {
  Object.defineProperty(handler, MARKS, { value: marks })
}

/** The marks of a handler: empty for the middleware, undefined for a handler that is not of this package. */
export function marksOf(handler: unknown): RouteMarks | undefined {
  return typeof handler === 'function' ? (handler as { [MARKS]?: RouteMarks })[MARKS] : undefined
}

// Shared: two copies of this package see each other's marks.
const MARKS = Symbol.for('write-pinning.marks.v1')
