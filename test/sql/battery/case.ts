import type { Statement } from '../../../src/sql/statement.ts'

/** A statement, the kind that it is to be called, and a reason where the server's answer is not what that suggests. */
export type Case = readonly [kind: Statement['kind'], sql: string, exception?: string]
