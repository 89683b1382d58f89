import type { Ask } from './catalog-queries.ts'
import type { FunctionFacts } from './function-facts.ts'
import { UNSEEN_FUNCTIONS } from './known-functions.ts'
import { ADVANCING_QUERY, isNoWord } from './type-queries.ts'

interface AdvancingRow {
  readonly oid: string
  readonly name: string
  readonly is_volatile: boolean
}

/** Those of the application's functions that may advance a sequence, also by what they call. */
export async function readAdvancing(ask: Ask, facts: FunctionFacts): Promise<string[]> {
  const found = new Map<string, string>()
  let names: string[] = [...UNSEEN_FUNCTIONS, 'execute']
  let oids = sequencesOf(facts)
  let odd: string[] = []
  while (oids.length > 0) {
    const rows = await ask<AdvancingRow>(ADVANCING_QUERY, [names, oids, odd])
    // What is declared stable may stand between two that are volatile.
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

/** A name that is no word; with a `$` it may stand without quotes. */
function asWritten(name: string): string {
  return /^[\w$]+$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
}

/** PostgreSQL's own functions that advance a sequence. */
export function sequencesOf({ effectful }: FunctionFacts): string[] {
  return [...effectful.values()].filter(({ isOwn, advances }) => !isOwn && advances).map(({ oid }) => oid)
}
