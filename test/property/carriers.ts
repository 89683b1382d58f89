import { makeAggregateCarrier } from './aggregates.ts'
import { makeCallCarrier } from './calls.ts'
import type { Carrier } from './carrier.ts'
import { makeCallable, makeHarmless } from './functions.ts'
import type { SchemaBuilder } from './schema-builder.ts'
import { serverCarriers } from './server-functions.ts'
import { makeTypeCarrier } from './types.ts'

/** The carriers of a schema: some that do something, some that do nothing, each in a way of its own. */
export function makeCarriers(schema: SchemaBuilder): Carrier[] {
  const { random } = schema
  const callables = Array.from({ length: 7 }, () => makeCallable(schema))
  const harmless = Array.from({ length: 3 }, () => makeHarmless(schema))
  const carriers: Carrier[] = []
  for (let count = 0; count < 24; count++) {
    const callable = random.pick(random.chance(0.55) ? callables : harmless)
    const make = random.pick([
      makeCallCarrier,
      makeCallCarrier,
      makeTypeCarrier,
      makeTypeCarrier,
      makeAggregateCarrier,
    ])
    carriers.push(make(schema, callable))
  }
  return [...carriers, ...serverCarriers(schema)]
}
