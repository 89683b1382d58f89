import type { FastifyBaseLogger } from 'fastify'
import { type Log, processLog } from '../pinning/index.ts'

/** The application's log; without a `logger`, Fastify's own says nothing to anybody, so that the process warns instead. */
export function logOf(log: FastifyBaseLogger): Log {
  return isSilent(log) ? processLog : log
}

/** Fastify's has no level, and is its own child. */
function isSilent(log: FastifyBaseLogger): boolean {
  return log.level === undefined && Object.hasOwn(log, 'child') && log.child({}) === log
}
