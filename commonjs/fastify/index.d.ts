import { type WritePinningOptions as Options, writePinning as plugin } from './plugin.ts'

/** Pins whoever writes: `await app.register(require('write-pinning/fastify'))`; see its `writePinning`. */
declare function writePinning(...parameters: Parameters<typeof plugin>): ReturnType<typeof plugin>

// biome-ignore lint/style/noNamespace: only so do names of types stand beside `export =`.
declare namespace writePinning {
  export type WritePinningOptions = Options
  export { plugin as default, plugin as writePinning }
}

export = writePinning
