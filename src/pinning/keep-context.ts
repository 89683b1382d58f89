import type { EventEmitter } from 'node:events'
import { currentContext, type RoutingContext, runInContext } from '../routing/context.ts'

/**
 * Lets the listeners of a request or a response run in the request's context. Their events come from the socket, which
 * is older than the request and knows nothing of it: so a parser of bodies (on `data` and `end`) and a stream that waits
 * for a slow client (on `drain`) would go on outside of it.
 */
export function keepContext(emitter: EventEmitter, context: RoutingContext): void {
  const { emit } = emitter
  emitter.emit = function (this: EventEmitter, ...args: Parameters<typeof emit>): boolean {
    // An event of the request's own code stays in the scope that it was emitted in.
    if (currentContext()?.memory === context.memory) return emit.apply(this, args)
    return runInContext(context, () => emit.apply(this, args))
  }
}
