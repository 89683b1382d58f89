import { debuglog } from 'node:util'
import { warn } from '../diagnostics.ts'

/** Where a framework's warnings go. */
export interface Log {
  warn(message: string): void
  debug(message: string): void
}

const debug = debuglog('write-pinning')

/** Where the warnings of a framework without a log go: a process warning each, and the rest to `NODE_DEBUG=write-pinning`. */
export const processLog: Log = {
  warn: (message) => warn('WRITE_PINNING_RESPONSE', message),
  debug: (message) => debug(message),
}
