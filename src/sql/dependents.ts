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

/** An object of a database that depends on another one, or that others depend on. */
export interface CatalogObject {
  readonly kind: 'function' | 'relation' | 'operator' | 'type'
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly cause: Cause
  /** The object that it depends on directly, as `schema.name` or in words; empty for none. */
  readonly because: string
  /** Whether it may be a partition or child: a read of its parent reads it as well. */
  readonly isPart: boolean
}

/** The objects that depend on some first ones, the seeds. */
export interface Dependents {
  /** The seeds and what depends on them: functions and relations, and the operators and types in between. */
  readonly items: readonly CatalogObject[]
  /**
   * Types whose operators, casts or checks call one of these functions. A text may use such a type without any call.
   */
  readonly types: TypeFacts
  /** Tables with a policy that calls one of these functions when the table is written to, but not when it is read. */
  readonly writePolicies: readonly DependentRow[]
}

/** How many objects one question is about. */
const PAGE = 1_000

/**
 * Finds the objects that call or read one of `seeds`, however indirectly, level by level:
 *
 * - views, and tables with policies,
 * - functions, by their trees and by their texts,
 * - types, by their operators, casts and checks,
 * - the parents of tables that were found.
 *
 * A function that `isTrusted` accepts is left out, and so are its callers: the options name it.
 */
export async function findDependents(
  ask: Ask,
  seeds: readonly CatalogObject[],
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

/** One search: all that was found so far (`found`), and the objects of the next level (`open`). */
class Search {
  readonly found = new Map<string, CatalogObject>()
  open: CatalogObject[] = []
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

  /** Finds the objects that use an object of this level in a stored tree, by `pg_depend`. */
  async readCallers(level: readonly CatalogObject[], wants: 'functions' | 'all'): Promise<void> {
    for (const [kind, catalog] of CATALOGS) {
      const sources = sourcesOf(level.filter((item) => item.kind === kind))
      // `pg_depend` does not list the users of PostgreSQL's own objects, except for its views. An option may name
      // such a view.
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

  /** Finds the parents of the relations of this level. */
  async readWholes(level: readonly CatalogObject[]): Promise<void> {
    const parts = sourcesOf(level.filter(({ isPart }) => isPart))
    for (const oids of pagesOf([...parts.keys()])) {
      this.#take('relation', await this.#ask(PARENTS_QUERY, [oids]), parts, true)
    }
  }

  /** Finds the objects that use a function of this level without a call, and the types that show such a use. */
  async readTypes(level: readonly CatalogObject[]): Promise<void> {
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

  /** Finds the functions whose texts name an object of this level. */
  readBodies(level: readonly CatalogObject[]): void {
    for (const item of level) {
      const callers = this.#bodies.callersOf(item).map((body) => ({ ...body, on: item.oid }))
      this.#take('function', callers, new Map([[item.oid, item]]))
    }
  }

  /** Takes a view, or a table with a policy. */
  #takeRelation(row: DependentRow, sources: Sources): void {
    if (row.is_read === false) this.writePolicies.push(row)
    else this.#take('relation', [row], sources)
  }

  #take(kind: CatalogObject['kind'], rows: readonly DependentRow[], sources: Sources, isPart = false): void {
    for (const row of rows) {
      if (kind === 'function' && this.#isTrusted(row)) continue
      const source = sources.get(row.on)
      const key = `${kind} ${row.oid}`
      const known = this.found.get(key)
      const advances = source?.cause.advances === true
      // A known object is searched once more if it turns out to advance a sequence.
      if (known !== undefined && (!advances || known.cause.advances === true)) continue
      const cause = causeOf(kind, row, source?.cause)
      const because = source === undefined ? '' : displayed(source)
      const { oid, schema, name } = row
      const item: CatalogObject =
        known === undefined
          ? { kind, oid, schema, name, cause, because, isPart }
          : { ...known, cause: { ...known.cause, advances } }
      this.found.set(key, item)
      this.open.push(item)
    }
  }
}

/** Gives the tables and all their parts, however deep. */
export async function withParts(ask: Ask, tables: readonly DependentRow[]): Promise<DependentRow[]> {
  return await closure(ask, CHILDREN_QUERY, tables)
}

/** Gives the tables and all their parents, however far up. */
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

type Sources = ReadonlyMap<string, Pick<CatalogObject, 'cause' | 'schema' | 'name'>>

const CATALOGS = [
  ['function', 'pg_proc'],
  ['relation', 'pg_class'],
  ['operator', 'pg_operator'],
  ['type', 'pg_type'],
] as const

function sourcesOf(items: readonly CatalogObject[]): Map<string, CatalogObject> {
  return new Map(items.map((item) => [item.oid, item]))
}

/**
 * Adds to a cause what helps a human to find it: the policy and its table, or the application's function that calls
 * one of PostgreSQL's.
 */
function causeOf(kind: CatalogObject['kind'], row: DependentRow, cause: Cause = NO_FUNCTION): Cause {
  if (row.policy !== undefined) return { ...cause, policy: row.policy, table: displayed(row) }
  if (kind === 'function' && cause.function === undefined) return { ...cause, function: displayed(row) }
  return cause
}

/** The name of an object as a warning shows it. PostgreSQL's own objects need no schema. */
export function displayed({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return schema === 'pg_catalog' ? name : `${schema}.${name}`
}

function pagesOf<Each>(all: readonly Each[]): Each[][] {
  return slicesOf(all, PAGE)
}

/** Cuts a list into slices of at most `size`. */
export function slicesOf<Each>(all: readonly Each[], size: number): Each[][] {
  const slices: Each[][] = []
  for (let at = 0; at < all.length; at += size) slices.push(all.slice(at, at + size))
  return slices
}
