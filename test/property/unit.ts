import type { RouteEvent } from 'write-pinning'

/** Where a unit runs: alone, in a transaction, under a pin, in a scope, on one connection. */
export type Mode = 'auto' | 'transaction' | 'pinned' | 'use-primary' | 'connection' | 'read-only'

/** The client library that a unit runs over. */
export type ClientName = 'kysely' | 'pool'

/** One statement of a unit. */
export interface Step {
  readonly text: string
  readonly values?: readonly unknown[]
  /** How it is sent, where that is not a plain query. Over Kysely, a cursor is a stream; the others are plain queries there. */
  readonly via?: 'cursor' | 'named' | 'copy'
}

/** What one request does, and what the tester knows of it. */
export interface Unit {
  readonly mode: Mode
  readonly client: ClientName
  readonly steps: readonly Step[]
  /** Whether nothing in it is declared volatile, writes, locks, or is served by the primary alone. */
  readonly isHarmless: boolean
  /** Whether it may leave a setting, a lock, or a prepared statement in its session, as it does with plain `pg`. */
  readonly isOfSession: boolean
  /** How its calls are hidden, and where they stand: `domain in order by`. */
  readonly feature: string
}

/** What one statement gave: rows as JSON, and beside them what `pg` says of it. */
export type Answer = string

/** What a unit gave. */
export interface Outcome {
  readonly answers: readonly Answer[]
  readonly error: Failure | undefined
}

export interface Failure {
  readonly code: string | undefined
  readonly message: string
}

/** What the package did with a unit. */
export interface Served extends Outcome {
  /** Whether the request counts as a write. */
  readonly isCounted: boolean
  readonly routes: readonly RouteEvent[]
}

export function failureOf(error: unknown): Failure {
  const { code, message } = error as { code?: string; message?: string }
  return { code, message: String(message ?? error) }
}

export function sameOutcome(a: Outcome, b: Outcome): boolean {
  if (a.error?.code !== b.error?.code || a.error?.message !== b.error?.message) return false
  return (
    a.answers.length === b.answers.length && a.answers.every((answer, index) => answer === b.answers[index])
  )
}
