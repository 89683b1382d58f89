import type { RouteMarks as Marks } from '../pinning/index.ts'
import { markRoute as mark } from './mark-route.ts'
import {
  type WritePinningMiddleware as Middleware,
  writePinning as make,
  type WritePinningOptions as Options,
} from './middleware.ts'

/** Pins whoever writes: `app.use(require('write-pinning/express')())`; see its `writePinning`. */
declare function writePinning(options?: Options): Middleware

// biome-ignore lint/style/noNamespace: only so do names of types stand beside `export =`.
declare namespace writePinning {
  export type RouteMarks = Marks
  export type WritePinningMiddleware = Middleware
  export type WritePinningOptions = Options
  export { make as default, make as writePinning, mark as markRoute }
}

export = writePinning
