import type { Random } from '../sql/random.ts'
import type { Carrier } from './carrier.ts'
import { type Effect, OF_SESSION } from './functions.ts'
import { byCodePoints } from './names.ts'
import type { Parts, Place } from './place.ts'
import { READS } from './reads.ts'
import type { Relation } from './relations.ts'
import type { Schema } from './schema.ts'
import type { ClientName, Mode, Step, Unit } from './unit.ts'
import { SESSIONS, WRITES, YOUNG } from './writes.ts'

const MODES: readonly Mode[] = [
  'auto',
  'auto',
  'auto',
  'auto',
  'transaction',
  'transaction',
  'pinned',
  'use-primary',
  'connection',
  'read-only',
]

/** Makes a unit out of what the schema has. */
export function makeUnit(random: Random, schema: Schema): Unit {
  let mode = random.pick(MODES)
  const client = random.pick<ClientName>(['kysely', 'pool'])
  const place = placeFor(random)
  if (place.needs === 'transaction' && mode !== 'read-only') mode = 'transaction'
  if (place.needs === 'connection') mode = random.pick(['connection', 'connection', 'transaction'])
  const one = statement(random, schema, place)
  const steps = [...one.steps]
  const all = [one]
  // In what has several statements, what comes before decides where it is.
  const isLong = mode !== 'auto' && mode !== 'pinned' && mode !== 'use-primary'
  while (isLong && random.chance(0.35)) {
    const more = statement(random, schema, placeFor(random, true))
    all.push(more)
    steps.push(...more.steps)
  }
  return {
    ...{ mode, client, steps: steps.map((step) => sentBy(random, step, place)) },
    isHarmless: all.every(({ isHarmless }) => isHarmless),
    isOfSession: all.some(({ isOfSession }) => isOfSession) || place.needs === 'connection',
    feature: all.map(({ feature }) => feature).join(' + '),
  }
}

function placeFor(random: Random, isSimple = false): Place {
  for (;;) {
    const place = random.pick(placesFor(random))
    if (!isSimple || place.needs === undefined) return place
  }
}

function placesFor(random: Random): readonly Place[] {
  if (random.chance(0.78)) return READS
  if (random.chance(0.65)) return WRITES
  return random.chance(0.85) ? SESSIONS : YOUNG
}

function statement(random: Random, schema: Schema, place: Place) {
  const harmlessOnes = schema.carriers.filter(({ isHarmless }) => isHarmless)
  const isHarmlessWanted = random.chance(0.45)
  const carrier = random.pick(isHarmlessWanted && harmlessOnes.length > 0 ? harmlessOnes : schema.carriers)
  const relation = pickRelation(random, schema, isHarmlessWanted, place)
  const ofRow = random.pick(['id', 'id', 'a', '2'])
  const parts: Parts = {
    ...{ random, schema },
    relation: relation.name,
    ofRow: carrier.of(ofRow),
    alone: carrier.of(random.pick(['1', '2', '3'])),
    harmless: random.pick(['id + 1', 'a * 2', 'abs(id)', 'coalesce(a, 0)', 'length(id::text)', 'id']),
  }
  const made = place.make(parts)
  const given = typeof made === 'string' ? [{ text: made }] : made
  const steps = given.map((step) => ({ ...step, text: respelled(random, step.text) }))
  return {
    steps,
    isHarmless: carrier.isHarmless && relation.isHarmless && place.isHarmful !== true,
    isOfSession: relation.isOfSession || OF_SESSION.has(carrier.effect as Effect) || place.isHarmful === true,
    feature: `${featureOf(carrier)} in ${place.name} of ${relation.feature}`,
  }
}

const featureOf = ({ feature, effect, isHarmless }: Carrier) => `${feature}(${isHarmless ? '' : effect})`

function pickRelation(random: Random, schema: Schema, isHarmlessWanted: boolean, place: Place): Relation {
  const wanted = schema.relations.filter(
    ({ isHarmless, isWritable }) =>
      (!isHarmlessWanted || isHarmless) && (!place.name.startsWith('write') || isWritable),
  )
  return random.pick(random.chance(0.4) || wanted.length === 0 ? schema.relations.slice(0, 1) : wanted)
}

/** The same text, with names by their code points, or in capitals. */
function respelled(random: Random, text: string): string {
  if (random.chance(0.03) && !text.includes('$') && !text.includes("'")) {
    return text.replace(/(?<![.\w&])"((?:[^"]|"")+)"/g, (_, name: string) =>
      byCodePoints(name.replaceAll('""', '"')),
    )
  }
  if (random.chance(0.05)) return `/* insert; */ ${text} -- "`
  if (random.chance(0.05) && !/["']/.test(text)) return text.toUpperCase()
  if (random.chance(0.03)) return `${text};`
  return text
}

function sentBy(random: Random, step: Step, place: Place): Step {
  if (step.via !== undefined || place.name === 'two reads in one text' || place.needs !== undefined)
    return step
  const isQuery = /^\s*(select|values|table)\b/i.test(step.text)
  if (isQuery && random.chance(0.06)) return { ...step, via: 'cursor' }
  if (isQuery && random.chance(0.1)) return { ...step, via: 'named' }
  return step
}
