import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { currentContext, reenterContext, runInContext } from '../freshness/context.ts'
import { BEGUN_PIN, type BegunPin } from './begun-pin.ts'

/**
 * Lets the listeners of a request and of its response run in the request's context, and keeps its pin there for the edges that
 * the request comes to later. Their events come from the socket, which is older than the request and knows nothing of it: so a
 * parser of bodies (on `data` and `end`) and whoever waits for the end of the response (on `close`) would go on outside of it.
 */
export function keepContext(request: IncomingMessage, response: ServerResponse, pin: ClosingPin): void {
  keep(request, pin)
  ;(response as Kept<ServerResponse>)[CLOSING] = pin
  keep(response, pin)
}

/** Is told when the response has closed, and its listeners have been: without a listener of its own, which costs. */
interface ClosingPin extends BegunPin {
  closed(): void
}

/** Goes on in the context of a request, which may have been lost on the way, or be hidden by a scope that was not left. */
export function enterContext({ context }: BegunPin, next: () => void): void {
  reenterContext(context, next)
}

/** Whether what runs now belongs to a request, in whatever scope. */
export function isInContext({ context }: BegunPin): boolean {
  return currentContext()?.memory === context.memory
}

type Kept<Emitter extends EventEmitter> = Emitter & {
  [BEGUN_PIN]: BegunPin
  [EMIT]?: EventEmitter['emit']
  [CLOSING]?: ClosingPin
}

const CLOSING = Symbol('write-pinning.closing')
const EMIT = Symbol('write-pinning.emit')

function keep(emitter: EventEmitter, pin: BegunPin): void {
  const kept = emitter as Kept<EventEmitter>
  // Another package may have put one of its own there.
  if (Object.hasOwn(emitter, 'emit')) kept[EMIT] = emitter.emit
  kept[BEGUN_PIN] = pin
  kept.emit = emitInContext
}

// One function for all emitters: with one for each, no two of them would have the same shape, which costs more than all
// the rest of a request.
function emitInContext(this: EventEmitter, ...args: Parameters<EventEmitter['emit']>): boolean {
  const { [BEGUN_PIN]: pin, [EMIT]: own, [CLOSING]: closing } = this as Partial<Kept<EventEmitter>>
  const emit = own ?? emitBehindOurs(this)
  // What copies a request by `for … in` takes `emit` along, and not the pin: to define it as not enumerable costs more than to ask.
  if (pin === undefined) return emit.apply(this, args)
  // An event of the request's own code stays in the scope that it was emitted in.
  const isHeard = isInContext(pin)
    ? emit.apply(this, args)
    : runInContext(pin.context, () => emit.apply(this, args))
  if (args[0] === 'close') closing?.closed()
  return isHeard
}

/** The `emit()` that was there before ours; what is made of a request by `Object.create(request)` has inherited ours. */
function emitBehindOurs(emitter: EventEmitter): EventEmitter['emit'] {
  let behind: EventEmitter = Object.getPrototypeOf(emitter)
  while (behind.emit === emitInContext) behind = Object.getPrototypeOf(behind)
  return behind.emit
}
