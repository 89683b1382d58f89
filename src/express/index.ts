/** The entry `write-pinning/express`. */
export type { RouteMarks } from '../pinning/index.ts'
export { markRoute } from './mark-route.ts'
export {
  type WritePinningMiddleware,
  type WritePinningOptions,
  writePinning,
  writePinning as default,
} from './middleware.ts'
