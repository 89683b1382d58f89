import { optionError } from '../options.ts'
import type { RouteMarks } from './policy.ts'

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
