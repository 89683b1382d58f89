import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import type { PinCounts, RouteMarks, WritePin } from '../../src/pinning/index.ts'
import type { UserAgent } from '../support/http.ts'

/**
 * A web framework, as the contract suite drives it. An adapter builds the application in the framework's own way, with
 * its parsers of bodies, and `writePinning` in front of everything.
 */
export interface Framework {
  readonly name: string
  /** Serves the application on a free port of the loopback. @throws what `writePinning` throws for wrong options. */
  serve(app: App): Promise<Served>
}

/** An application in terms of no framework. */
export interface App {
  /** The options of `writePinning`. */
  readonly options?: object
  /** By method (or `ALL`) and path, as in `'GET /items'`. */
  readonly routes: Record<string, Handler | Route>
  readonly trustProxy?: string
  readonly https?: { readonly key: string; readonly cert: string }
  /** Runs before the handler of any route; a reply of its is the answer. */
  readonly guard?: (exchange: Exchange) => Reply | undefined
  readonly onError?: Handler
  readonly onNotFound?: Handler
}

export interface Route {
  /** In the framework's own words: the config of the route, or a middleware before its handler. */
  readonly marks?: RouteMarks
  /** Puts `dbWrite()` around the framework's handler. */
  readonly isDbWrite?: boolean
  readonly handler: Handler
}

/** Gives the answer, or nothing where it has sent one by itself over `exchange.response`. */
export type Handler = (exchange: Exchange) => Promise<Reply | undefined>

export interface Exchange {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  /** As it was parsed; a binary one as `{ length }`. */
  readonly body: unknown
  readonly response: ServerResponse
  readonly writePin: WritePin
}

export interface Reply {
  readonly status?: number
  readonly headers?: Record<string, string>
  readonly redirect?: string
  readonly body?: unknown
  readonly stream?: Readable
}

/** An application that is served. */
export interface Served {
  readonly counts: PinCounts
  /** What it was warned of so far. */
  readonly warnings: readonly string[]
  userAgent(): UserAgent
  close(): Promise<void>
}

/** The method, the path and the rest of each route. */
export function routesOf({ routes }: App): (Route & { method: string; path: string })[] {
  return Object.entries(routes).map(([name, given]) => {
    const [method = '', path = ''] = name.split(' ')
    return { method, path, ...(typeof given === 'function' ? { handler: given } : given) }
  })
}
