import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
// biome-ignore lint/suspicious/noTsIgnore: the compiler copies it into the declarations, for projects in which Express has no types.
/** @ts-ignore */
import type { Request } from 'express'

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
