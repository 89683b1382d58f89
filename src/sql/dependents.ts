import {
  type Ask,
  CALLERS_QUERY,
  CHILDREN_QUERY,
  type DependentRow,
  FIRST_OWN_OID,
  PARENTS_QUERY,
  POLICIES_QUERY,
  VIEWS_QUERY,
} from './catalog-queries.ts'
import { type Cause, NO_FUNCTION } from './cause.ts'
import type { FunctionBodies } from './function-bodies.ts'
import type { TypeFacts } from './type-facts.ts'
import { CHECKING_DOMAINS_QUERY, USES_QUERY, type UseRow } from './type-queries.ts'
import { TypeUses } from './type-uses.ts'

/** Something in a database that hangs on another thing, or that others hang on. */
export interface Item {
  readonly kind: 'function' | 'relation' | 'operator' | 'type'
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly cause: Cause
  /** What it hangs on directly, as `schema.name`. */
  readonly because: string
  /** Whether who reads a relation that it is a part of reads it as well. */
  readonly isPart: boolean
}

/** What was found to hang on something. */
export interface Dependents {
  /** Functions and relations, and what they hang on in between. */
  readonly items: readonly Item[]
  /** Types by which it is called where nothing is. */
  readonly types: TypeFacts
  /** Tables whose policies call it when they are written to, and not when they are read. */
  readonly writePolicies: readonly DependentRow[]
}

/** How many things a question is about. */
const PAGE = 1_000

/**
 * Finds, level by level, what calls or reads one of `seeds`, however indirectly: views, tables with policies, functions by their trees and
 * by their texts, types by their operators, casts and checks, and what has such a table as a part. `isTrusted` ends it at functions that
 * the options name.
 */
export async function findDependents(
  ask: Ask,
  seeds: readonly Item[],
  bodies: FunctionBodies,
  isTrusted: (row: DependentRow) => boolean,
  wants: 'functions' | 'all' = 'all',
): Promise<Dependents> {
  const search = new Search(ask, bodies, isTrusted)
  for (const seed of seeds) search.found.set(`${seed.kind} ${seed.oid}`, seed)
  search.open = [...search.found.values()]
  while (search.open.length > 0) {
    const level = search.open
    search.open = []
    await search.readCallers(level, wants)
    if (wants === 'all') {
      await search.readWholes(level)
      await search.readTypes(level)
    }
    search.readBodies(level)
  }
  const { found, types, writePolicies } = search
  return { items: [...found.values()], types: types.facts, writePolicies }
}

/** One search: what was found by now, and what hangs on the last of it is looked for next. */
class Search {
  readonly found = new Map<string, Item>()
  open: Item[] = []
  readonly writePolicies: DependentRow[] = []
  readonly types: TypeUses
  readonly #ask: Ask
  readonly #bodies: FunctionBodies
  readonly #isTrusted: (row: DependentRow) => boolean

  constructor(ask: Ask, bodies: FunctionBodies, isTrusted: (row: DependentRow) => boolean) {
    this.#ask = ask
    this.#bodies = bodies
    this.#isTrusted = isTrusted
    this.types = new TypeUses(ask, bodies)
  }

  /** What names something of a level in its tree, as `pg_depend` knows it. */
  async readCallers(level: readonly Item[], wants: 'functions' | 'all'): Promise<void> {
    for (const [kind, catalog] of CATALOGS) {
      const sources = sourcesOf(level.filter((item) => item.kind === kind))
      // PostgreSQL's own are not in `pg_depend`, but for its views: an option may name one.
      const own = [...sources.keys()].filter((oid) => kind === 'relation' || Number(oid) >= FIRST_OWN_OID)
      for (const oids of pagesOf(own)) {
        const of = [oids, `pg_catalog.${catalog}`]
        this.#take('function', await this.#ask(CALLERS_QUERY, of), sources)
        if (wants === 'functions') continue
        this.#take('relation', await this.#ask(VIEWS_QUERY, of), sources)
        for (const row of await this.#ask<DependentRow>(POLICIES_QUERY, of)) this.#takeRelation(row, sources)
        if (kind === 'type') this.#take('type', await this.#ask(CHECKING_DOMAINS_QUERY, [oids]), sources)
      }
    }
  }

  /** What has a relation of a level as a part. */
  async readWholes(level: readonly Item[]): Promise<void> {
    const parts = sourcesOf(level.filter(({ isPart }) => isPart))
    for (const oids of pagesOf([...parts.keys()])) {
      this.#take('relation', await this.#ask(PARENTS_QUERY, [oids]), parts, true)
    }
  }

  /** What uses a function of a level without a call, and by which types that is seen. */
  async readTypes(level: readonly Item[]): Promise<void> {
    const sources = sourcesOf(level.filter(({ kind }) => kind === 'function'))
    for (const oids of pagesOf([...sources.keys()])) {
      const rows = await this.#ask<UseRow>(USES_QUERY, [oids])
      for (const row of rows) this.types.add(row, sources.get(row.on)?.cause ?? NO_FUNCTION)
      this.#take(
        'operator',
        rows.filter(({ kind }) => kind === 'operator'),
        sources,
      )
      this.#take(
        'type',
        rows.filter(({ kind }) => kind === 'domain'),
        sources,
      )
    }
    for (const { oid, cause } of level.filter(({ kind }) => kind === 'type'))
      this.types.addChecked(oid, cause)
    const { checked, users, relations } = await this.types.read()
    for (const { row, by } of checked) this.#take('type', [row], new Map([[row.on, by]]))
    for (const { row, by } of relations) this.#takeRelation(row, new Map([[row.on, by]]))
    for (const { row, by } of users) this.#take('function', [row], new Map([[row.on, by]]))
  }

  /** The functions whose texts name something of a level. */
  readBodies(level: readonly Item[]): void {
    for (const item of level) {
      const callers = this.#bodies.callersOf(item).map((body) => ({ ...body, on: item.oid }))
      this.#take('function', callers, new Map([[item.oid, item]]))
    }
  }

  /** A view, or a table behind a policy. */
  #takeRelation(row: DependentRow, sources: Sources): void {
    if (row.is_read === false) this.writePolicies.push(row)
    else this.#take('relation', [row], sources)
  }

  #take(kind: Item['kind'], rows: readonly DependentRow[], sources: Sources, isPart = false): void {
    for (const row of rows) {
      if (kind === 'function' && this.#isTrusted(row)) continue
      const source = sources.get(row.on)
      const key = `${kind} ${row.oid}`
      const known = this.found.get(key)
      const advances = source?.cause.advances === true
      // What is known is looked at once more where it turns out to advance a sequence.
      if (known !== undefined && (!advances || known.cause.advances === true)) continue
      const cause = causeOf(kind, row, source?.cause)
      const because = source === undefined ? '' : displayed(source)
      const { oid, schema, name } = row
      const item: Item =
        known === undefined
          ? { kind, oid, schema, name, cause, because, isPart }
          : { ...known, cause: { ...known.cause, advances } }
      this.found.set(key, item)
      this.open.push(item)
    }
  }
}

/** The tables and all their parts, part by part. */
export async function withParts(ask: Ask, tables: readonly DependentRow[]): Promise<DependentRow[]> {
  return await closure(ask, CHILDREN_QUERY, tables)
}

/** The tables and whatever has them as parts. */
export async function withWholes(ask: Ask, tables: readonly DependentRow[]): Promise<DependentRow[]> {
  return await closure(ask, PARENTS_QUERY, tables)
}

async function closure(ask: Ask, query: string, rows: readonly DependentRow[]): Promise<DependentRow[]> {
  const found = new Map(rows.map((row) => [row.oid, row]))
  let open = [...found.keys()]
  while (open.length > 0) {
    const next: string[] = []
    for (const oids of pagesOf(open)) {
      for (const row of await ask<DependentRow>(query, [oids])) {
        if (found.has(row.oid)) continue
        found.set(row.oid, row)
        next.push(row.oid)
      }
    }
    open = next
  }
  return [...found.values()]
}

type Sources = ReadonlyMap<string, Pick<Item, 'cause' | 'schema' | 'name'>>

const CATALOGS = [
  ['function', 'pg_proc'],
  ['relation', 'pg_class'],
  ['operator', 'pg_operator'],
  ['type', 'pg_type'],
] as const

function sourcesOf(items: readonly Item[]): Map<string, Item> {
  return new Map(items.map((item) => [item.oid, item]))
}

/** Behind a policy the table that it protects is what tells; behind a function of PostgreSQL's, that of the application's which calls it. */
function causeOf(kind: Item['kind'], row: DependentRow, cause: Cause = NO_FUNCTION): Cause {
  if (row.policy !== undefined) return { ...cause, policy: row.policy, table: displayed(row) }
  if (kind === 'function' && cause.function === undefined) return { ...cause, function: displayed(row) }
  return cause
}

/** The name of something as a warning says it: PostgreSQL's own need no schema. */
export function displayed({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return schema === 'pg_catalog' ? name : `${schema}.${name}`
}

function pagesOf<Each>(all: readonly Each[]): Each[][] {
  return slicesOf(all, PAGE)
}

/** The same in pieces of at most that size. */
export function slicesOf<Each>(all: readonly Each[], size: number): Each[][] {
  const slices: Each[][] = []
  for (let at = 0; at < all.length; at += size) slices.push(all.slice(at, at + size))
  return slices
}
