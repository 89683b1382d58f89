import {
  CALLERS_QUERY,
  CHILDREN_QUERY,
  type DependentRow,
  DOMAINS_QUERY,
  FIRST_OWN_OID,
  PARENTS_QUERY,
  POLICIES_QUERY,
  VIEWS_QUERY,
  WITHOUT_CALL_QUERIES,
} from './catalog-queries.ts'
import type { FunctionBodies } from './function-bodies.ts'
import { type Cause, NO_FUNCTION } from './relation-facts.ts'

/** Asks a server one question, and gives its rows. */
export type Ask = <Row>(text: string, values: readonly unknown[]) => Promise<readonly Row[]>

/** Something in a database that hangs on another thing, or that others hang on. */
export interface Item {
  readonly kind: 'function' | 'relation' | 'operator' | 'type' | 'column'
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
  readonly items: readonly Item[]
  /** Tables whose policies call it when they are written to, and not when they are read. */
  readonly writePolicies: readonly DependentRow[]
}

/** How many things a question is about. */
const PAGE = 1_000

/**
 * Finds, level by level, what calls or reads one of `seeds`, however indirectly: views, tables with policies, functions by their trees and
 * by their texts, operators, casts, domains, and what has such a table as a part. `isTrusted` ends it at functions that the options name.
 */
export async function findDependents(
  ask: Ask,
  seeds: readonly Item[],
  bodies: FunctionBodies,
  isTrusted: (row: DependentRow) => boolean,
  wants: 'functions' | 'all' = 'all',
): Promise<Dependents> {
  const found = new Map<string, Item>()
  const writePolicies: DependentRow[] = []
  let open: Item[] = []
  const take = (kind: Item['kind'], rows: readonly DependentRow[], sources: Sources, isPart = false) => {
    for (const row of rows) {
      if (kind === 'function' && isTrusted(row)) continue
      const source = sources.get(row.on)
      const cause = causeOf(kind, row, source?.cause)
      const because = source === undefined ? '' : displayed(source)
      const item: Item = { kind, oid: row.oid, schema: row.schema, name: row.name, cause, because, isPart }
      const key = `${kind} ${row.oid}`
      if (found.has(key)) continue
      found.set(key, item)
      open.push(item)
    }
  }
  for (const seed of seeds) found.set(`${seed.kind} ${seed.oid}`, seed)
  open = [...found.values()]
  while (open.length > 0) {
    const level = open
    open = []
    for (const [kind, catalog] of CATALOGS) {
      const sources = sourcesOf(level.filter((item) => item.kind === kind))
      // PostgreSQL's own are not in `pg_depend`, but for its views: an option may name one.
      const own = [...sources.keys()].filter((oid) => kind === 'relation' || Number(oid) >= FIRST_OWN_OID)
      for (const oids of pagesOf(own)) {
        const of = [oids, `pg_catalog.${catalog}`]
        if (kind !== 'type') take('function', await ask(CALLERS_QUERY, of), sources)
        if (wants === 'functions') continue
        take('relation', await ask(VIEWS_QUERY, of), sources)
        for (const row of await ask<DependentRow>(POLICIES_QUERY, of)) {
          if (row.is_read) take('relation', [row], sources)
          else writePolicies.push(row)
        }
        if (kind !== 'relation') take('type', await ask(DOMAINS_QUERY, of), sources)
      }
      if (wants === 'functions' || kind !== 'function') continue
      for (const oids of pagesOf([...sources.keys()])) {
        take('operator', await ask(WITHOUT_CALL_QUERIES.operator, [oids]), sources)
        take('type', await ask(WITHOUT_CALL_QUERIES.type, [oids]), sources)
        take('column', await ask(WITHOUT_CALL_QUERIES.column, [oids]), sources)
      }
    }
    if (wants === 'all') {
      const parts = sourcesOf(level.filter(({ isPart }) => isPart))
      for (const oids of pagesOf([...parts.keys()])) {
        take('relation', await ask(PARENTS_QUERY, [oids]), parts, true)
      }
    }
    for (const item of level) {
      const callers = bodies.callersOf(item).map((body) => ({ ...body, on: item.oid }))
      take('function', callers, new Map([[item.oid, item]]))
    }
  }
  return { items: [...found.values()], writePolicies }
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

type Sources = ReadonlyMap<string, Item>

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
  const pages: Each[][] = []
  for (let at = 0; at < all.length; at += PAGE) pages.push(all.slice(at, at + PAGE))
  return pages
}
