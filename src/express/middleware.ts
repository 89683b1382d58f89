import type { ServerResponse } from 'node:http'
import { serialize } from 'cookie'
import { WritePinningError } from '../errors.ts'
import {
  type BegunPin,
  enterContext,
  type Framework,
  isHttps,
  type PinCounts,
  Pinning,
  type PinningOptions,
  pinningSettings,
  processLog,
  type WritePin,
} from '../pinning/index.ts'
import { findPassage, hasRoute, type Passage, passageOf, startPassage } from './passage.ts'
import { isMiddlewareCall, refuseInFastify, refuseUncalled } from './refuse-misuse.ts'
import { type MiddlewareRequest, type NodeRequest, type NodeResponse, setMarks } from './request.ts'

/**
 * The options of the Express middleware. Those that are functions get Express's request. Without Express they get
 * Node's request with `writePin`: then write `IncomingMessage` as the type of their parameter.
 */
export type WritePinningOptions = PinningOptions<MiddlewareRequest>

/** What `writePinning()` gives: a middleware that also counts what it has done since the start. */
export interface WritePinningMiddleware {
  (request: NodeRequest, response: NodeResponse, next: (error?: unknown) => void): void
  readonly counts: PinCounts
}

declare global {
  // biome-ignore lint/style/noNamespace: Express's types are extended in this way, in every version.
  namespace Express {
    interface Request {
      /** Whether this user agent's reads are pinned, why, and until when. */
      readonly writePin: WritePin
    }
  }
}

/**
 * Makes a middleware that pins a user agent when it writes: after a write request, that user agent's reads go to the
 * primary for `pinningSeconds` (default 15).
 *
 * Use it before everything that uses the database. Use the same one again behind a middleware that continues in the
 * callback of a shared client, because that loses the context. If pins follow the account, use it again behind
 * authentication, too.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` at once, for an option that is wrong or unknown.
 * @example
 * app.use(writePinning())
 * app.post('/comment', async (request, response) => {
 *   await db.insertInto('comment').values({ text: request.body.text }).execute()
 *   response.redirect(303, '/') // and that page shows the comment
 * })
 */
export function writePinning(options?: WritePinningOptions): WritePinningMiddleware
export function writePinning(
  options: WritePinningOptions = {},
  ...rest: readonly unknown[]
): WritePinningMiddleware {
  if (isMiddlewareCall(rest)) throw notCalled()
  const settings = pinningSettings<MiddlewareRequest>('writePinning', options)
  const pinning = new Pinning(settings, expressFramework)

  function middleware(incoming: NodeRequest, outgoing: NodeResponse, next: () => void): void {
    const request = incoming as MiddlewareRequest
    const response = outgoing as ServerResponse
    const passage = findPassage(request, response, pinning)
    if (passage === undefined) begin(request, response, next)
    else {
      pinning.takeOver(passage.pin, request)
      goOn(passage.pin, next)
    }
  }

  function begin(request: MiddlewareRequest, response: ServerResponse, next: () => void): void {
    const pin = pinning.begin(request, {
      method: request.method,
      message: request,
      response,
      marks: undefined,
      hasRoute: () => hasRoute(request),
    })
    startPassage(request, pin)
    goOn(pin, next)
  }

  setMarks(middleware, {})
  refuseInFastify(middleware)
  return Object.assign(middleware, { counts: pinning.counts })
}

refuseUncalled(writePinning, notCalled)
refuseInFastify(writePinning)

function notCalled(): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    "writePinning of 'write-pinning/express' makes the middleware, and must be called: write `app.use(writePinning())`, " +
      'or `app.use(writePinning({ … }))` with options.',
  )
}

/**
 * Continues once the account's pin is there. The account may be known at this use of the middleware, or only at a
 * later one.
 */
function goOn(pin: BegunPin, next: () => void): void {
  const goOnNow = () => enterContext(pin, () => next())
  const wait = pin.bringAccountPin()
  if (wait === undefined) goOnNow()
  else void wait.then(goOnNow)
}

const expressFramework: Framework<MiddlewareRequest> = {
  serializeCookie: serialize,
  isHttps,
  routeOf: (request) => (passageOf(request) as Passage).routeName,
  // Express has no log.
  logOf: () => processLog,
  log: processLog,
}
