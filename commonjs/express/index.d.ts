import type { RouteMarks as Marks } from '../pinning/index.ts'
import { markRoute as mark } from './mark-route.ts'
import {
  type WritePinningMiddleware as Middleware,
  writePinning as make,
  type WritePinningOptions as Options,
} from './middleware.ts'

/** Makes the middleware: `app.use(require('write-pinning/express')())`. See its `writePinning`. */
declare function writePinning(options?: Options): Middleware

// biome-ignore lint/style/noNamespace: names of types stand beside `export =` only in this way.
declare namespace writePinning {
  export type RouteMarks = Marks
  export type WritePinningMiddleware = Middleware
  export type WritePinningOptions = Options
  export { make as default, make as writePinning, mark as markRoute }
}

export = writePinning
