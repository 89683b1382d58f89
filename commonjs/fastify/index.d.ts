import { type WritePinningOptions as Options, writePinning as plugin } from './plugin.ts'

/** The plugin: `await app.register(require('write-pinning/fastify'))`. See its `writePinning`. */
declare function writePinning(...parameters: Parameters<typeof plugin>): ReturnType<typeof plugin>

// biome-ignore lint/style/noNamespace: names of types stand beside `export =` only in this way.
declare namespace writePinning {
  export type WritePinningOptions = Options
  export { plugin as default, plugin as writePinning }
}

export = writePinning
