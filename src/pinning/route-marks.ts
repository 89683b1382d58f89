import type { PinReason } from '../diagnostics.ts'
import { WritePinningError } from '../errors.ts'
import { currentContext } from '../freshness/context.ts'
import { rememberWriteRequest } from '../freshness/memory.ts'
import { type Requirement, readFromRequirement } from '../freshness/requirement.ts'
import { optionError } from '../options.ts'
import type { PinningSettings } from './options.ts'

/** The marks of a route: whether it is a write, whatever its method, and where its reads go. */
export interface RouteMarks {
  /**
   * True: the request is a write, as a POST is. False: the request is no write, even if it is a POST; a write that
   * the router saw still pins. Default: the method decides.
   */
  readonly dbWrite?: boolean | undefined
  /**
   * Where the request's reads go until it writes: `'primary'`, `'replica'`, or a node's name. This mark alone sets no
   * pin. Default: none.
   */
  readonly readFrom?: string | undefined
}

/** Merges marks. For each of the two, the last one that is given wins. */
export function mergeMarks(all: readonly (RouteMarks | undefined)[]): RouteMarks {
  let merged: RouteMarks = {}
  for (const marks of all) {
    if (marks === undefined) continue
    merged = { dbWrite: marks.dbWrite ?? merged.dbWrite, readFrom: marks.readFrom ?? merged.readFrom }
  }
  return merged
}

/**
 * Refuses wrong marks. `where` names the route or the call to which they belong.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION`
 */
export function checkMarks(where: string, marks: object): void {
  const { dbWrite, readFrom } = marks as Record<keyof RouteMarks, unknown>
  if (dbWrite !== undefined && typeof dbWrite !== 'boolean') {
    throw optionError(where, 'dbWrite', dbWrite, 'true or false')
  }
  if (readFrom !== undefined && (typeof readFrom !== 'string' || readFrom === '')) {
    throw optionError(where, 'readFrom', readFrom, "'primary', 'replica', or the name of a node")
  }
}

/** Whether a request is a write, as far as that is known before its handler has run. */
export interface RequestPolicy {
  /** Whether it is a write, so that its reads go to the primary. */
  readonly isWrite: boolean
  /**
   * Why its response pins whatever the handler does, if the request reaches a handler; undefined if only a write that
   * was seen pins.
   */
  readonly pinReason: Exclude<PinReason, 'cookie'> | undefined
}

/** Decides whether a request is a write, by its method and the marks of its route (undefined if it has none). */
export function policyOf(
  settings: Pick<PinningSettings, 'readMethods' | 'pinOn'>,
  method: string,
  marks: RouteMarks | undefined,
): RequestPolicy {
  if (marks?.dbWrite === true) return MARKED_WRITE
  if (marks?.dbWrite === false || settings.readMethods.has(method)) return READ
  return settings.pinOn === 'method' ? WRITE_METHOD : WRITE_METHOD_THAT_PINS_NOTHING
}

const READ: RequestPolicy = { isWrite: false, pinReason: undefined }
const MARKED_WRITE: RequestPolicy = { isWrite: true, pinReason: 'db-write' }
const WRITE_METHOD: RequestPolicy = { isWrite: true, pinReason: 'method' }
const WRITE_METHOD_THAT_PINS_NOTHING: RequestPolicy = { isWrite: true, pinReason: undefined }

/** The requirement of the route's `readFrom`; undefined if it has none. */
export function readFromOf(marks: RouteMarks | undefined): Requirement | undefined {
  return marks?.readFrom === undefined ? undefined : readFromRequirement(marks.readFrom)
}

type Handler = (...args: never[]) => unknown

/**
 * Marks a route's handler as a write, as the mark `dbWrite: true` does: the reads of its requests go to the primary,
 * and their responses pin.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` if it is not given a function.
 * @example
 * app.get('/track', dbWrite(async (request) => recordVisit(request.ip)))
 *
 */
export function dbWrite<F extends Handler>(handler: F): F
// This overload is never chosen. It tells the compiler that the result is a function. So the compiler reads the
// schema of a route before it reads the handler in here.
export function dbWrite<Args extends unknown[], Result>(
  handler: (...args: Args) => Result,
): (...args: Args) => Result
export function dbWrite<F extends Handler>(handler: F): F {
  if (typeof handler !== 'function') {
    throw new WritePinningError('ERR_WRITE_PINNING_OPTION', 'dbWrite() takes the handler of a route.')
  }
  const marked = function (this: unknown, ...args: never[]): unknown {
    // If the framework did not see the mark before, the request gets it here.
    const memory = currentContext()?.memory
    if (memory !== undefined) rememberWriteRequest(memory)
    return handler.apply(this, args)
  }
  Object.defineProperties(marked, { name: { value: handler.name }, length: { value: handler.length } })
  return Object.setPrototypeOf(marked, MARKED)
}

/** Whether {@link dbWrite} made a handler. A bound copy of such a handler counts, too. */
export function isDbWrite(handler: unknown): boolean {
  return typeof handler === 'function' && (handler as { [DB_WRITE]?: true })[DB_WRITE] === true
}

// The mark is on the prototype. Fastify calls `bind()` on each handler, which keeps nothing else.
const DB_WRITE = Symbol.for('write-pinning.db-write')
const MARKED = Object.create(Function.prototype, { [DB_WRITE]: { value: true } })
