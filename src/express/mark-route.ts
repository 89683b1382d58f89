import type { ServerResponse } from 'node:http'
import { WritePinningError } from '../errors.ts'
import { optionsObject, refuseUnknownOptions } from '../options.ts'
import { checkMarks, enterContext, type RouteMarks } from '../pinning/index.ts'
import { findPassage } from './passage.ts'
import { isMiddlewareCall, refuseUncalled } from './refuse-misuse.ts'
import { type MiddlewareRequest, type NodeRequest, type NodeResponse, setMarks } from './request.ts'

/**
 * Marks a route. `dbWrite: true` makes it a write, as a POST is. With `dbWrite: false` it is no write, even for a
 * POST. `readFrom` (`'primary'`, `'replica'`, or a node's name) says where its reads go until it writes. Among the
 * handlers of a route, the mark counts from the first handler on, whatever its own place. In `use()`, it counts for
 * all handlers that the request reaches after it.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` at once, for a mark that is wrong or unknown.
 * @example
 * app.post('/search', markRoute({ dbWrite: false }), search) // a POST that is no write by itself
 * app.use('/graphql', markRoute({ dbWrite: false, readFrom: 'primary' }), graphql) // fresh reads; pins if it wrote
 */
export function markRoute(marks: RouteMarks): Marking
export function markRoute(marks: RouteMarks, ...rest: readonly unknown[]): Marking {
  if (isMiddlewareCall(rest)) throw notCalled()
  const { dbWrite, readFrom } = optionsObject('markRoute()', marks) as RouteMarks
  refuseUnknownOptions('markRoute()', marks, ['dbWrite', 'readFrom'])
  checkMarks('markRoute()', marks)

  function marking(request: NodeRequest, response: NodeResponse, next: () => void): void {
    const passage = findPassage(request as MiddlewareRequest, response as ServerResponse)
    if (passage === undefined) next()
    else {
      passage.passMarks(marking)
      enterContext(passage.pin, () => next())
    }
  }
  setMarks(marking, { dbWrite, readFrom })
  return marking
}

type Marking = (request: NodeRequest, response: NodeResponse, next: (error?: unknown) => void) => void

refuseUncalled(markRoute, notCalled)

function notCalled(): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    'markRoute makes a handler, and must be called: write `markRoute({ dbWrite: true })`, with the marks of the route.',
  )
}
