import type { PinReason } from '../diagnostics.ts'
import { WritePinningError } from '../errors.ts'
import { currentContext } from '../freshness/context.ts'
import { rememberWriteRequest } from '../freshness/memory.ts'
import { type Requirement, readFromRequirement } from '../freshness/requirement.ts'
import { optionError } from '../options.ts'
import type { PinningSettings } from './options.ts'

/** What a route says of itself. */
export interface RouteMarks {
  /** True: what a POST is. False: takes that away from a POST. Undefined: the method says. */
  readonly dbWrite?: boolean | undefined
  /** Where the request's reads go: `'primary'`, `'replica'`, or a node's name; it pins nothing. */
  readonly readFrom?: string | undefined
}

/** The last of several marks that says something, for each mark by itself. */
export function mergeMarks(all: readonly (RouteMarks | undefined)[]): RouteMarks {
  let merged: RouteMarks = {}
  for (const marks of all) {
    if (marks === undefined) continue
    merged = { dbWrite: marks.dbWrite ?? merged.dbWrite, readFrom: marks.readFrom ?? merged.readFrom }
  }
  return merged
}

/**
 * Refuses marks that are wrong; `where` names the route or the call that they belong to.
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

/** What a request is before its handler has run. */
export interface RequestPolicy {
  /** Whether it is a write, so that its reads go to the primary. */
  readonly isWrite: boolean
  /**
   * Why its response pins whatever the handler does, if it reaches one; undefined where only a write that was seen
   * pins.
   */
  readonly pinReason: Exclude<PinReason, 'cookie'> | undefined
}

/** Decides what a request is from its method and its route's marks; undefined where its route has none. */
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

/** Where the reads of a route go that says so. */
export function readFromOf(marks: RouteMarks | undefined): Requirement | undefined {
  return marks?.readFrom === undefined ? undefined : readFromRequirement(marks.readFrom)
}

type Handler = (...args: never[]) => unknown

/**
 * Marks a route's handler as a write, as the route's mark `dbWrite: true` does: its reads go to the primary
 * and its response pins.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` where it is not given a function.
 * @example
 * app.get('/track', dbWrite(async (request) => recordVisit(request.ip)))
 */
export function dbWrite<F extends Handler>(handler: F): F {
  if (typeof handler !== 'function') {
    throw new WritePinningError('ERR_WRITE_PINNING_OPTION', 'dbWrite() takes the handler of a route.')
  }
  const marked = function (this: unknown, ...args: never[]): unknown {
    // A framework that could not see the mark beforehand learns of it here.
    const memory = currentContext()?.memory
    if (memory !== undefined) rememberWriteRequest(memory)
    return handler.apply(this, args)
  }
  Object.defineProperties(marked, { name: { value: handler.name }, length: { value: handler.length } })
  return Object.setPrototypeOf(marked, MARKED)
}

/** Whether a handler was marked by {@link dbWrite}; also a bound copy of it. */
export function isDbWrite(handler: unknown): boolean {
  return typeof handler === 'function' && (handler as { [DB_WRITE]?: true })[DB_WRITE] === true
}

// The mark is on the prototype, because `bind()`, which Fastify calls on each handler, keeps only that.
const DB_WRITE = Symbol.for('write-pinning.db-write')
const MARKED = Object.create(Function.prototype, { [DB_WRITE]: { value: true } })
