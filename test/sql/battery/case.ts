import type { Statement } from '../../../src/sql/statement.ts'

/**
 * A statement, the kind that it is to be called, a reason where the server's answer is not what that suggests, and the first version
 * of PostgreSQL that knows it.
 */
export type Case = readonly [
  kind: Statement['kind'],
  sql: string,
  exception?: string | undefined,
  since?: number,
]
