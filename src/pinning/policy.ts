import type { PinReason } from '../diagnostics.ts'
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
  if (marks?.dbWrite === true) return DB_WRITE
  if (marks?.dbWrite === false || settings.readMethods.has(method)) return READ
  return settings.pinOn === 'method' ? WRITE_METHOD : WRITE_METHOD_THAT_PINS_NOTHING
}

const READ: RequestPolicy = { isWrite: false, pinReason: undefined }
const DB_WRITE: RequestPolicy = { isWrite: true, pinReason: 'db-write' }
const WRITE_METHOD: RequestPolicy = { isWrite: true, pinReason: 'method' }
const WRITE_METHOD_THAT_PINS_NOTHING: RequestPolicy = { isWrite: true, pinReason: undefined }
