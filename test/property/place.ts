import type { Random } from '../sql/random.ts'
import type { Schema } from './schema.ts'
import type { Step } from './unit.ts'

/** What a statement is made of. */
export interface Parts {
  readonly random: Random
  readonly schema: Schema
  /** A relation, and an expression of type int about its columns `id` and `a`. */
  readonly relation: string
  readonly ofRow: string
  /** An expression of type int about nothing. */
  readonly alone: string
  /** One more that does nothing. */
  readonly harmless: string
}

/** A place in the grammar, and a statement with an expression there. */
export interface Place {
  readonly name: string
  readonly make: (parts: Parts) => string | readonly Step[]
  /** Whether it writes, locks or stays in the session by itself. */
  readonly isHarmful?: boolean
  /** Whether it needs one connection, or a transaction. */
  readonly needs?: 'connection' | 'transaction'
}

/** A place by its name, and a text with `:e` (an expression about a row), `:x` (one about nothing), `:h` (a harmless one) and `:r` (a relation). */
export function place(name: string, text: string, others: Omit<Place, 'name' | 'make'> = {}): Place {
  return { name, make: (parts) => filled(text, parts), ...others }
}

export function filled(text: string, parts: Parts): string {
  const { relation, ofRow, alone, harmless, schema } = parts
  const values: Record<string, string> = {
    ...{ e: ofRow, x: alone, h: harmless, r: relation },
    ...{ t: schema.base, s: schema.sequence, log: schema.log },
  }
  return text.replace(/(?<!:):(log|[exhrts])\b/g, (_, name: string) => values[name] ?? '')
}
