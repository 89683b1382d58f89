import type { Callable, Effect } from './functions.ts'
import { quoted, TABLE_NAMES } from './names.ts'
import type { SchemaBuilder } from './schema-builder.ts'

/** A way to call a function, in the open or hidden, within an expression of type int. */
export interface Carrier {
  readonly feature: string
  readonly effect: Effect
  /** Whether it does nothing, and nothing in it is declared volatile. */
  readonly isHarmless: boolean
  /** The expression, about another one of type int. */
  readonly of: (argument: string) => string
}

/** A carrier of a callable's effect. `isHarmless` says whether the rest of it is declared harmless, too. */
export function carrierOf(
  callable: Callable,
  feature: string,
  of: Carrier['of'],
  isHarmless = true,
): Carrier {
  return { feature, effect: callable.effect, isHarmless: callable.isHarmless && isHarmless, of }
}

/** The name without its schema: attributes have none. */
export function bare(name: string): string {
  return name.replace(/^public\./, '')
}

/**
 * A function's volatility beside that of what it calls: a lie, mostly. PostgreSQL calls what is said to be immutable while it plans, and then
 * as often as it plans anew; so only what does nothing is said to be.
 */
export function lie({ random }: SchemaBuilder, { effect }: Callable): 'volatile' | 'stable' | 'immutable' {
  if (effect === 'nothing') return random.pick(['volatile', 'stable', 'immutable', 'immutable'])
  return random.pick(['volatile', 'stable', 'stable'])
}

/** The name of a new type, as SQL writes it. */
export function typeName(schema: SchemaBuilder, prefix: string): string {
  return schema.random.chance(0.7) ? schema.fresh(prefix) : quoted(`${schema.unused(TABLE_NAMES)} t`)
}
