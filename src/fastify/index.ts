/** The entry `write-pinning/fastify`. */
export { type WritePinningOptions, writePinning, writePinning as default } from './plugin.ts'
