import type { EventEmitter } from 'node:events'
import { currentContext, type RoutingContext, runInContext } from '../routing/context.ts'

/**
 * Lets the listeners of a request or a response run in the request's context. Their events come from the socket, which
 * is older than the request and knows nothing of it: so a parser of bodies (on `data` and `end`) and whoever waits for
 * the end of the response (on `close`) would go on outside of it.
 */
export function keepContext(emitter: EventEmitter, context: RoutingContext, closing?: Closing): void {
  const kept = emitter as KeptEmitter
  // Another package may have put one of its own there.
  if (Object.hasOwn(emitter, 'emit')) kept[EMIT] = emitter.emit
  kept[KEPT] = context
  if (closing !== undefined) kept[CLOSING] = closing
  kept.emit = emitInContext
}

/** What is told when the emitter has closed, and its listeners have been: without a listener of its own, which costs. */
export interface Closing {
  closed(): void
}

const KEPT = Symbol('write-pinning.kept')
const CLOSING = Symbol('write-pinning.closing')
const EMIT = Symbol('write-pinning.emit')

interface KeptEmitter extends EventEmitter {
  [KEPT]: RoutingContext
  [EMIT]?: EventEmitter['emit']
  [CLOSING]?: Closing
}

// One function for all emitters: with one for each, no two of them would have the same shape, which costs more than all
// the rest of a request.
function emitInContext(this: EventEmitter, ...args: Parameters<EventEmitter['emit']>): boolean {
  const { [KEPT]: context, [EMIT]: own } = this as KeptEmitter
  const emit: EventEmitter['emit'] = own ?? Object.getPrototypeOf(this).emit
  // An event of the request's own code stays in the scope that it was emitted in.
  const isInside = currentContext()?.memory === context.memory
  const isHeard = isInside ? emit.apply(this, args) : runInContext(context, () => emit.apply(this, args))
  if (args[0] === 'close') (this as KeptEmitter)[CLOSING]?.closed()
  return isHeard
}
