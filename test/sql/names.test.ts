import { loadModule } from 'libpg-query'
import { beforeAll, expect, test } from 'vitest'
import { readStatementText } from '../../src/sql/statement-reader.ts'
import type { StatementText } from '../../src/sql/statement-text.ts'
import { WatchedNames } from '../../src/sql/table-names.ts'
import { FUNCTIONS } from './battery/functions.ts'
import { READS } from './battery/reads.ts'
import { WRITES } from './battery/writes.ts'
import { disguise } from './disguise.ts'
import { mutate } from './mutate.ts'
import { parseNames } from './parse-tree.ts'
import { Random } from './random.ts'
import { Statements } from './statements.ts'

/** Compares the names that are read in a text with those in PostgreSQL's own tree. See `parser.test.ts` for the variables. */
const SEED = Number(process.env.WRITE_PINNING_SEED ?? 20_260_101)
const COUNT = Number(process.env.WRITE_PINNING_STATEMENTS ?? 50_000) / 5
const LONG = 600_000
const NO_NAMES = new WatchedNames()
const TYPES = new WatchedNames(['kind', 'date', 'x'])

beforeAll(async () => {
  await loadModule()
})

function read(sql: string, watch = NO_NAMES): StatementText {
  return readStatementText(sql, watch)
}

/** What the tree has and the reader has not: nothing, unless it is wrong. */
function missing(sql: string): string[] {
  const tree = parseNames(sql)
  const text = read(sql, TYPES)
  if (tree === undefined || (text.kind === 'write' && !text.isChange) || text.kind === 'session') return []
  const relations = new Set(
    text.relations.map(({ schema, table }) => (schema ? `${schema}.${table}` : table)),
  )
  const attributes = new Set(text.calls.filter(({ isAttribute }) => isAttribute).map(({ name }) => name))
  const types = new Set(text.watched.filter(({ isAsType }) => isAsType).map(({ table }) => table))
  const lost = [
    ...[...tree.relations].filter((name) => !relations.has(name)),
    ...[...tree.attributes].filter((name) => !attributes.has(name)).map((name) => `.${name}`),
    ...[...tree.types].filter((name) => TYPES.has(name) && !types.has(name)).map((name) => `::${name}`),
  ]
  return tree.operates && !text.operates ? [...lost, 'an operator'] : lost
}

test('no relation, attribute, type or operator of a statement is lost', { timeout: LONG }, () => {
  const random = new Random(SEED)
  const kinds = [0, 0.06, 0.2].map((harm) => new Statements(random, harm))
  const wrong: object[] = []
  for (let count = 0; count < COUNT; count++) {
    const tokens = random.pick(kinds).statement()
    const sql = random.chance(0.2)
      ? mutate(tokens, random)
      : disguise(tokens, random, random.pick([0, 0.1, 0.4]))
    // What is not well formed reaches the server as something else.
    const lost = missing(sql.replace(/\p{Surrogate}/gu, ''))
    if (lost.length > 0) wrong.push({ sql, lost })
  }
  for (const [, sql] of [...READS, ...WRITES, ...FUNCTIONS]) {
    const lost = missing(sql)
    if (lost.length > 0) wrong.push({ sql, lost })
  }
  expect(wrong.toSorted((a, b) => JSON.stringify(a).length - JSON.stringify(b).length).slice(0, 10)).toEqual(
    [],
  )
})

test('a relation is told from whatever else stands behind the same words', () => {
  const relations = (sql: string) =>
    read(sql).relations.map(({ schema, table }) => (schema === undefined ? table : `${schema}.${table}`))
  for (const [sql, names] of [
    ['select 1', []],
    ['select a from t, only s.u as x (b, c), lateral f(d) join "V w" on a = b, e', ['t', 's.u', 'V w', 'e']],
    [
      'select extract(day from x), trim(both from y), substring(z from 1), overlay(a placing b from 2) from t',
      ['t'],
    ],
    ['select a is distinct from b, c is not distinct from d', []],
    ['select a as from, b', []],
    ['select a distinct from t', ['t']],
    ['select t.from, "from" from t group by a, b order by c, d', ['t']],
    ['select * from a join b using (id, c) natural join d', ['a', 'b', 'd']],
    ['select * from ((a cross join b)), (select c from d) e', ['a', 'b', 'd']],
    ['table s.t', ['s.t']],
    ['select a from t for update of u, v', ['t']],
    ['select * from rows from (f(a), g(b)), t tablesample system (1)', ['t']],
    ['insert into t (a, b) select c, d from u on conflict (a) do update set a = 1, b = 2', ['t', 'u']],
    ['update only (t) set a = 1, b = 2 from u, v where c = d', ['t', 'u', 'v']],
    ['delete from t using u join w using (id), v where a = b', ['t', 'u', 'w', 'v']],
    ['merge into t using u on true when matched then update set a = 1, b = 2', ['t', 'u']],
    ['select percentile_cont(a) within group (order by b) from t, u', ['t', 'u']],
    ["select * from a join b on collation for (c) = 'C', d", ['a', 'b', 'd']],
  ] as const)
    expect(relations(sql), sql).toEqual(names)
})

test('a common table is no relation where it is seen, and one of its name is elsewhere', () => {
  const relations = (sql: string) => read(sql).relations.map(({ table }) => table)
  for (const [sql, names] of [
    ['with x as (select * from x) select * from x', ['x']],
    ['with recursive x (a) as (select 1 union select a from x) select * from x', []],
    ['with x as (select 1), y as (select * from x) select * from y, x, z', ['z']],
    ['select * from (with x as (select 1) select * from x) a, x', ['x']],
    ['with x as materialized (select 1) select * from public.x, "x"', ['x']],
    ['with x as (select 1) insert into x select * from x', ['x']],
    ['with x as (select 1) search depth first by a, b set c select * from b, x', ['b']],
  ] as const)
    expect(relations(sql), sql).toEqual(names)
})

test('an attribute of an expression may be a call', () => {
  const attributes = (sql: string) =>
    read(sql)
      .calls.filter(({ isAttribute }) => isAttribute === true)
      .map(({ name }) => name)
  for (const [sql, names] of [
    ['select (5).f', ['f']],
    ['select ($1).a.b, $2.c, (x).*', ['a', 'b', 'c']],
    ['select a[1].b, (array[x])[1]."C d"', ['b', 'C d']],
    ['select t.a, s.t.a, f(x) a from s.t', []],
  ] as const)
    expect(attributes(sql), sql).toEqual(names)
})

test('a type is told where one is named', () => {
  const watch = new WatchedNames(['kind'])
  const isAsType = (sql: string) => read(sql, watch).watched.map((each) => each.isAsType)
  for (const sql of [
    'select a::kind',
    'select a::public.kind[]',
    'select cast(a as kind)',
    "select kind 'x'",
    'select kind(1)',
    'select * from f() as x (a kind)',
    'select * from f() x (a int, "b" kind)',
    "select * from xmltable('/a' passing b columns c kind)",
    "select json_value(a, '$' returning kind)",
  ])
    expect(isAsType(sql), sql).toEqual([true])
  for (const sql of ['select kind from t', 'select a as kind', 'select a kind from kind', 'select t.kind'])
    expect(isAsType(sql), sql).not.toContain(true)
})

test('a text that calls no operator and no cast is told', () => {
  for (const sql of [
    'select * from t',
    'select t.*, a as "order", "in" from only t limit 10 offset $1',
    "select 'a', 1, $1, null, (select b from u)",
    'with x as (select a from t) select a from x, lateral (select b from u) y for update',
    'table t',
  ])
    expect(read(sql).operates, sql).toBe(false)
  for (const sql of [
    'select a * b from t',
    'select * from t order by a',
    'select * from t limit (select a)',
    "select date 'x'",
  ])
    expect(read(sql).operates, sql).toBe(true)
})
