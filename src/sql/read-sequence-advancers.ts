import type { Ask } from './catalog-queries.ts'
import type { FunctionFacts } from './function-facts.ts'
import { UNSEEN_FUNCTIONS } from './known-functions.ts'
import { ADVANCING_QUERY, isNoWord } from './type-queries.ts'

interface AdvancingRow {
  readonly oid: string
  readonly name: string
  readonly is_volatile: boolean
}

/** Reads which of the application's functions may advance a sequence, by themselves or by what they call. */
export async function readSequenceAdvancers(ask: Ask, facts: FunctionFacts): Promise<string[]> {
  const found = new Map<string, string>()
  let names: string[] = [...UNSEEN_FUNCTIONS, 'execute']
  let oids = sequencesOf(facts)
  let odd: string[] = []
  while (oids.length > 0) {
    const rows = await ask<AdvancingRow>(ADVANCING_QUERY, [names, oids, odd])
    // Functions that are declared stable count too: in a chain of calls, one may be between two volatile functions.
    const others = rows.filter(
      ({ oid, is_volatile }) => !found.has(oid) && (facts.effectful.has(oid) || !is_volatile),
    )
    for (const { oid, name } of others) found.set(oid, name)
    names = others.map(({ name }) => name).filter((name) => !isNoWord(name))
    odd = others
      .map(({ name }) => name)
      .filter(isNoWord)
      .map(asWritten)
    oids = others.map(({ oid }) => oid)
  }
  return [...found.keys()]
}

/** A name that is not a plain word, as a text writes it: in quotes, unless its only odd character is `$`. */
function asWritten(name: string): string {
  return /^[\w$]+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

/** The functions of PostgreSQL and of extensions that may advance a sequence. */
export function sequencesOf({ effectful }: FunctionFacts): string[] {
  return [...effectful.values()].filter(({ isOwn, advances }) => !isOwn && advances).map(({ oid }) => oid)
}
