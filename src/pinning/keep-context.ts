import type { EventEmitter } from 'node:events'
import { currentContext, type RoutingContext, runInContext } from '../routing/context.ts'

/**
 * Lets the listeners of a request or a response run in the request's context. Their events come from the socket, which
 * is older than the request and knows nothing of it: so a parser of bodies (on `data` and `end`) and whoever waits for
 * the end of the response (on `close`) would go on outside of it.
 */
export function keepContext(emitter: EventEmitter, context: RoutingContext): void {
  const kept = emitter as KeptEmitter
  kept[KEPT] = { context, emit: emitter.emit }
  kept.emit = emitInContext
}

const KEPT = Symbol('write-pinning.kept')

interface KeptEmitter extends EventEmitter {
  [KEPT]: { readonly context: RoutingContext; readonly emit: EventEmitter['emit'] }
}

// One function for all emitters: with one for each, no two of them would have the same shape, which costs more than all
// the rest of a request.
function emitInContext(this: EventEmitter, ...args: Parameters<EventEmitter['emit']>): boolean {
  const { context, emit } = (this as KeptEmitter)[KEPT]
  // An event of the request's own code stays in the scope that it was emitted in.
  if (currentContext()?.memory === context.memory) return emit.apply(this, args)
  return runInContext(context, () => emit.apply(this, args))
}
