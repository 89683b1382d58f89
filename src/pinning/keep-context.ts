import type { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { currentContext, reenterContext, runInContext } from '../freshness/context.ts'
import { BEGUN_PIN, type BegunPin } from './begun-pin.ts'

/**
 * Makes the listeners of a request and of its response run in the request's context. Also stores the pin on both,
 * where later edges find it. Their events come from the socket, which is older than the request and does not know its
 * context. Without this, a body parser (on `data` and `end`) and code that waits for the end of the response (on
 * `close`) would continue outside the context.
 */
export function keepContext(request: IncomingMessage, response: ServerResponse, pin: ClosingPin): void {
  keep(request, pin)
  ;(response as Kept<ServerResponse>)[CLOSING] = pin
  keep(response, pin)
}

/**
 * A pin that is told when the response has closed, after the listeners of `close` have run. It adds no listener of
 * its own, because that costs time.
 */
interface ClosingPin extends BegunPin {
  closed(): void
}

/**
 * Continues in the context of a request. That context may have been lost on the way, or be hidden by a scope that was
 * not left.
 */
export function enterContext({ context }: BegunPin, next: () => void): void {
  reenterContext(context, next)
}

/** Whether the code that runs now belongs to this request, in any scope. */
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
  // Another package may have put an `emit()` of its own there.
  if (Object.hasOwn(emitter, 'emit')) kept[EMIT] = emitter.emit
  kept[BEGUN_PIN] = pin
  kept.emit = emitInContext
}

// One function for all emitters. With a function for each, no two emitters would have the same shape, which costs
// more than all the rest of a request.
function emitInContext(this: EventEmitter, ...args: Parameters<EventEmitter['emit']>): boolean {
  const { [BEGUN_PIN]: pin, [EMIT]: own, [CLOSING]: closing } = this as Partial<Kept<EventEmitter>>
  const emit = own ?? emitBehindOurs(this)
  // Code that copies a request by `for … in` takes `emit` along, but not the pin. This check costs less than making
  // `emit` non-enumerable.
  if (pin === undefined) return emit.apply(this, args)
  // An event that the request's own code emits stays in the scope in which it was emitted.
  const isHeard = isInContext(pin)
    ? emit.apply(this, args)
    : runInContext(pin.context, () => emit.apply(this, args))
  if (args[0] === 'close') closing?.closed()
  return isHeard
}

/**
 * The `emit()` behind ours. An object that was made by `Object.create(request)` has inherited ours, so this searches
 * up the prototypes.
 */
function emitBehindOurs(emitter: EventEmitter): EventEmitter['emit'] {
  let behind: EventEmitter = Object.getPrototypeOf(emitter)
  while (behind.emit === emitInContext) behind = Object.getPrototypeOf(behind)
  return behind.emit
}
