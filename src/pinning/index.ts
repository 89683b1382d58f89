/** What the framework edges are built on. They import nothing else from `pinning/`, and nothing from `freshness/`. */
export {
  type BegunBy,
  type BegunPin,
  begunPinOf,
  joinPin,
  type RouteName,
  UNPINNED,
  type WritePin,
} from './begun-pin.ts'
export { type Framework, isHttps, NO_ROUTE, throwWhenRead } from './framework.ts'
export { enterContext, isInContext } from './keep-context.ts'
export { type PinningOptions, pinningSettings } from './options.ts'
export { type PinCounts, Pinning } from './pinning.ts'
export { checkMarks, isDbWrite, mergeMarks, type RouteMarks } from './route-marks.ts'
export { type Log, processLog } from './warnings.ts'
