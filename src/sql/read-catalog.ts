import { pagesOf } from './catalog-pages.ts'
import {
  type Ask,
  BODIES_QUERY,
  type BodyRow,
  DEFERRED_QUERY,
  type DependentRow,
  FIRST_OWN_OID,
  FOREIGN_TABLES_QUERY,
  FUNCTIONS_QUERY,
  type FunctionRow,
  LOCKS,
  NAMED_RELATIONS_QUERY,
  NAMES_OF_VIEWS_QUERY,
  POLICY_TREES_QUERY,
  SEQUENCES_QUERY,
  type SequenceRow,
  TREE_CALLERS_QUERY,
  TYPES_QUERY,
  type TypeRow,
  UNLOGGED_QUERY,
  VIEW_TREES_QUERY,
} from './catalog-queries.ts'
import { type Cause, NO_FUNCTION } from './cause.ts'
import { type CatalogObject, displayed, findDependents, slicesOf, withParts } from './dependents.ts'
import { FunctionBodies, type ReadBody, readBody } from './function-bodies.ts'
import { type EffectfulFunction, FunctionFacts, FunctionRules, keysOf } from './function-facts.ts'
import { LearnedObjects } from './learned-objects.ts'
import { readPlainTables } from './read-plain-tables.ts'
import { readRelationNames } from './read-relation-names.ts'
import { readSequenceAdvancers, sequencesOf } from './read-sequence-advancers.ts'
import { readSessionEffects } from './read-session-effects.ts'
import type { IndirectCaller, RelationFacts } from './relation-facts.ts'
import { mayBeSameTable, NameMap, parseTableName } from './table-names.ts'
import { OPAQUE_QUERY } from './type-queries.ts'
import { BODY_VERSIONS_QUERY, VIEW_VERSIONS_QUERY } from './version-queries.ts'

export type { Ask } from './catalog-queries.ts'

/** The options that a reading of the catalog needs. */
export interface CatalogOptions {
  readonly primaryTables: readonly string[]
  readonly primaryFunctions: readonly string[]
  readonly replicaFunctions: readonly string[]
}

/** How many objects one question is about. Each question takes the server a fraction of a second. */
const FUNCTIONS_PAGE = 5_000
const TYPES_PAGE = 10_000
const BODIES_PAGE = 200
const VIEWS_PAGE = 1_000
/** What is expensive to read, kept from one reading of a database to the next: most objects are unchanged. */
export class CatalogMemory {
  readonly bodies = new LearnedObjects<ReadBody>()
  #views = new LearnedObjects<ViewTreeRow>()
  #judgedBy = ''

  /**
   * What was learned of views while these were the functions that do more than read. If the list changes, all of it
   * is forgotten.
   */
  viewsJudgedBy(functions: readonly string[]): LearnedObjects<ViewTreeRow> {
    const judgedBy = functions.join()
    if (judgedBy !== this.#judgedBy) this.#views = new LearnedObjects()
    this.#judgedBy = judgedBy
    return this.#views
  }
}

/**
 * Reads the effects of the functions of a database: the first half of its catalog. It is read by itself, so that
 * statements that need only functions do not wait for the other half.
 */
export async function readFunctions(
  ask: Ask,
  options: CatalogOptions,
  memory = new CatalogMemory(),
): Promise<FunctionsReading> {
  const rules = new FunctionRules(options)
  const facts = new FunctionFacts(rules)
  const bodies = new FunctionBodies()
  const isTrusted = (name: { schema: string; name: string }) => rules.effectOf(name) === 'none'
  for await (const rows of pagesOf<FunctionRow>(ask, FUNCTIONS_QUERY, FUNCTIONS_PAGE)) {
    for (const row of rows) facts.add(row)
  }
  for await (const rows of pagesOf<TypeRow>(ask, TYPES_QUERY, TYPES_PAGE)) {
    for (const row of rows) facts.addTypes(row)
  }
  facts.addAdvancing(await readSequenceAdvancers(ask, facts))
  await readSessionEffects(ask, facts)
  for (const { name } of await ask<{ readonly name: string }>(OPAQUE_QUERY, [])) facts.addOpaque(name)
  const seeds = [...facts.effectful.values()].map((each) => itemOf('function', each, causeOf(each)))
  for (const body of await readBodies(ask, memory)) {
    const { owner } = body
    if (!bodies.add(body))
      seeds.push(itemOf('function', owner, { function: displayed(owner) }, 'what cannot be read'))
  }
  const callers = await ask<BodyRow & Advancing>(TREE_CALLERS_QUERY, [builtInsOf(facts), sequencesOf(facts)])
  for (const row of callers) {
    const cause = { function: displayed(row), advances: row.advances }
    seeds.push(itemOf('function', row, cause, 'a volatile function of PostgreSQL'))
  }
  const counted = seeds.filter((seed) => facts.effectful.has(seed.oid) || !isTrusted(seed))
  const { items } = await findDependents(ask, counted, bodies, isTrusted, 'functions')
  for (const item of items) {
    const advances = item.cause.advances === true
    if (item.because !== '') facts.addCaller({ ...item, isOwn: true, advances }, item.because)
  }
  return { facts, bodies, items, isTrusted }
}

/** Reads the bodies of the functions that are declared stable or immutable. */
async function readBodies(ask: Ask, { bodies }: CatalogMemory): Promise<Iterable<ReadBody>> {
  const learned = await bodies.read(ask, BODY_VERSIONS_QUERY, BODIES_PAGE, async (oids) => {
    const rows = await ask<BodyRow>(BODIES_QUERY, [oids])
    return rows.map((row) => [row.oid, readBody(row)] as const)
  })
  return learned.values()
}

/** The facts on functions, with what {@link readRelations} needs besides. */
export interface FunctionsReading {
  readonly facts: FunctionFacts
  readonly bodies: FunctionBodies
  /** The functions that may do more than read. */
  readonly items: readonly CatalogObject[]
  isTrusted(name: { readonly schema: string; readonly name: string }): boolean
}

/**
 * Reads the effects of the relations and types of a database: the second half of its catalog. This takes long if
 * there are many views.
 */
export async function readRelations(
  ask: Ask,
  functions: FunctionsReading,
  { primaryTables }: CatalogOptions,
  memory = new CatalogMemory(),
): Promise<RelationFacts> {
  const { bodies, isTrusted, facts } = functions
  const builtIns = builtInsOf(facts)
  const sequences = sequencesOf(facts)
  const policies = await ask<DependentRow & Advancing>(POLICY_TREES_QUERY, [builtIns, sequences])
  const seeds = [
    ...functions.items,
    ...relationsOf((await ask<DependentRow>(FOREIGN_TABLES_QUERY, [])).map(elsewhere), true),
    ...(await readViewTrees(ask, builtIns, sequences, memory)),
    ...relationsOf(policies.filter((row) => row.is_read)),
  ]
  const { items, types, writePolicies } = await findDependents(ask, seeds, bodies, isTrusted)
  const callers = new Map<string, IndirectCaller>()
  for (const { kind, oid, because, cause, ...named } of items) {
    if (kind !== 'function' || facts.effectful.has(oid)) continue
    for (const key of keysOf(named)) callers.set(key, { because, advances: cause.advances === true })
  }
  const unlogged = await ask<DependentRow>(UNLOGGED_QUERY, [])
  const named = await readPrimaryTables(ask, primaryTables)
  const numbers = await ask<SequenceRow>(SEQUENCES_QUERY, [])
  const sources = [...relationsOf([...unlogged, ...named], true), ...readSequencesOf(numbers)]
  const onPrimary = await findDependents(ask, sources, bodies, isTrusted)
  const readers = onPrimary.items.filter(({ kind }) => kind === 'function').flatMap(keysOf)
  return {
    areRead: true,
    effectful: namesOf(items, ({ cause }) => cause),
    types,
    onPrimary: withSequences(
      namesOf(onPrimary.items, () => true),
      numbers,
    ),
    typesOnPrimary: onPrimary.types,
    plain: await readPlainTables(ask, [...writePolicies, ...policies, ...items.filter(isTable)]),
    mayDefer: (await ask<{ readonly is_any: boolean }>(DEFERRED_QUERY, []))[0]?.is_any !== false,
    callers,
    known: await readRelationNames(ask),
    readers: new Set([...readers, ...readersOf(bodies, numbers)]),
  }
}

/** The sequences that a view, a policy or a function reads: the search begins at them, to find those readers. */
function readSequencesOf(rows: readonly SequenceRow[]): CatalogObject[] {
  return rows.flatMap(({ schema, read_oids, read_names }) =>
    read_oids.map((oid, at) => itemOf('relation', { oid, schema, name: read_names[at] ?? '' }, NO_FUNCTION)),
  )
}

function withSequences(names: NameMap<true>, rows: readonly SequenceRow[]): NameMap<true> {
  for (const row of rows) for (const table of row.names) names.add({ schema: row.schema, table }, true)
  return names
}

/** The functions whose texts name a sequence. */
function readersOf(bodies: FunctionBodies, rows: readonly SequenceRow[]): string[] {
  return rows.flatMap(({ schema, names }) =>
    names.flatMap((name) => bodies.naming({ schema, name }).flatMap(keysOf)),
  )
}

/** Reads which views lock rows, or call a function of PostgreSQL that does more than read. */
async function readViewTrees(
  ask: Ask,
  builtIns: readonly string[],
  sequences: readonly string[],
  memory: CatalogMemory,
): Promise<CatalogObject[]> {
  const judges = [LOCKS, ...builtIns]
  const views = memory.viewsJudgedBy(judges)
  const learned = await views.read(ask, VIEW_VERSIONS_QUERY, VIEWS_PAGE, async (rules) => {
    const rows = await ask<ViewTreeRow>(VIEW_TREES_QUERY, [rules, judges, sequences])
    return rows.map((row) => [row.rule, row] as const)
  })
  const found: CatalogObject[] = []
  const advancing = new Set([...learned.values()].filter(({ advances }) => advances).map(({ view }) => view))
  for (const rows of slicesOf([...learned.values()], VIEWS_PAGE)) {
    for (const view of await ask<DependentRow>(NAMES_OF_VIEWS_QUERY, [rows.map(({ view }) => view)])) {
      found.push(itemOf('relation', view, { ...NO_FUNCTION, advances: advancing.has(view.oid) }))
    }
  }
  return found
}

/** Reads the relations that `primaryTables` names, and their parts. */
async function readPrimaryTables(ask: Ask, primaryTables: readonly string[]): Promise<DependentRow[]> {
  const options = primaryTables.map((each) => parseTableName(each.toLowerCase()))
  const rows = await ask<DependentRow>(NAMED_RELATIONS_QUERY, [options.map(({ table }) => table)])
  const named = rows.filter(({ schema, name }) => {
    const row = { schema: schema.toLowerCase(), table: name.toLowerCase() }
    return options.some((option) => mayBeSameTable(option, row))
  })
  return await withParts(ask, named)
}

/**
 * PostgreSQL's own functions that do more than read. `pg_depend` does not list their callers: only the callers' trees
 * show them.
 */
function builtInsOf({ effectful }: FunctionFacts): string[] {
  return [...effectful.keys()].filter((oid) => Number(oid) < FIRST_OWN_OID)
}

function namesOf<Value>(
  items: readonly CatalogObject[],
  toValue: (item: CatalogObject) => Value,
): NameMap<Value> {
  const names = new NameMap<Value>()
  for (const item of items) {
    const { kind, schema, name } = item
    if (kind === 'relation') names.add({ schema, table: name }, toValue(item))
  }
  return names
}

type Named = Pick<CatalogObject, 'schema' | 'name'>

interface ViewTreeRow extends Advancing {
  readonly rule: string
  readonly view: string
}

/** A row that says whether its object may advance a sequence. */
interface Advancing {
  readonly advances: boolean
}

function itemOf(
  kind: CatalogObject['kind'],
  row: Named & { readonly oid: string },
  cause: Cause,
  because = '',
): CatalogObject {
  return { kind, oid: row.oid, schema: row.schema, name: row.name, cause, because, isPart: false }
}

/** A table on another server: a read of it may write there, and no transaction id on this server shows that. */
function elsewhere(table: DependentRow): DependentRow & Advancing {
  return { ...table, advances: true }
}

function relationsOf(rows: readonly (DependentRow & Partial<Advancing>)[], isPart = false): CatalogObject[] {
  return rows.map((row) => {
    const { advances = false } = row
    const policy = row.policy === undefined ? {} : { policy: row.policy, table: displayed(row) }
    return { ...itemOf('relation', row, { ...NO_FUNCTION, ...policy, advances }), isPart }
  })
}

/** The cause that the callers of a function get. PostgreSQL's own functions are not named. */
function causeOf(each: EffectfulFunction): Cause {
  const { advances } = each
  return { function: each.schema === 'pg_catalog' ? undefined : displayed(each), advances }
}

function isTable({ kind }: CatalogObject): boolean {
  return kind === 'relation'
}
