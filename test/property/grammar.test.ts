import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { PostgresCluster } from 'write-pinning/testing'
import { useCluster } from '../support/shop.ts'
import { GRAMMAR_PLACES } from './grammar-places.ts'
import { byCodePoints, quoted, TABLE_NAMES } from './names.ts'
import { Product } from './product.ts'
import { READS } from './reads.ts'
import type { Served } from './unit.ts'

// Texts that only read, over every place of the grammar and odd names, stay on replicas and pin nobody.
const { cluster } = useCluster({ synchronous: true })

const SCHEMA = `
create table t (id int primary key, a int, b text);
insert into t values (1, 10, 'one'), (2, 20, 'two'), (3, 30, null);
create sequence s;
create function calm(p int) returns int language sql stable as 'select p';
create function calm_of(p t) returns int language plpgsql stable as 'begin return p.id; end';
create function calm_rows(p int) returns setof int language sql immutable as 'select p';
create function at_least(p int, q int default 1) returns int language sql immutable as 'select greatest(p, q)';
create domain small as int check (value < 100000);
create function is_small(p int) returns bool language plpgsql immutable as 'begin return p < 100000; end';
create domain also_small as int check (is_small(value));
create type pair as (x int, y text);
create function first_of(p pair) returns int language sql immutable as 'select p.x';
create cast (pair as int) with function first_of(pair);
create operator ~+~ (leftarg = int, rightarg = int, function = at_least);
create view v as select id, calm(a) as a from t`

/** What an application may have beside it: names that are watched, and functions that say nothing of themselves. */
const ODD = `
create unlogged table "order" (id int);
create unlogged table "Group" (id int);
create unlogged table "limit" (id int);
create unlogged table "group" (id int);
create unlogged table "select" (id int);
create unlogged table "from" (id int);
create type mark as (n int);
create function mark_eq(p mark, q mark) returns bool language plpgsql as 'begin return p.n = q.n; end';
create operator = (leftarg = mark, rightarg = mark, function = mark_eq);
create function mark_text(p mark) returns text language plpgsql as 'begin return p.n::text; end';
create cast (mark as text) with function mark_text(mark);
create function mark_int(p mark) returns int language plpgsql as 'begin return p.n; end';
create cast (mark as int) with function mark_int(mark) as implicit;
create table note (id int, title text);
create function b(p note) returns text language plpgsql as 'begin return p.title; end';
create function id(p note) returns int language plpgsql as 'begin return 1; end'`

const EXPRESSIONS: readonly [ofRow: string, alone: string][] = [
  ['id', '2'],
  ['calm(a)', 'calm(2)'],
  ['(t.id).calm', '(2).calm'],
  ['calm_of(t)', '(select max(t.calm_of) from t)'],
  ['id::small', '2::small::int'],
  ['cast(id as also_small)', "also_small '2' + 0"],
  ['(row(id, b)::pair)::int', "(row(2, 'x')::pair)::integer"],
  ['id ~+~ 2', '2 ~+~ 1'],
  ['at_least(p => id)', 'at_least(2, q => 1)'],
  ['(select max(u.a) from v as u where u.id = id)', '(select max(id) from v)'],
  ['abs(-id)', 'length(to_char(2, $$99$$))'],
  ['coalesce((select r from calm_rows(id) as r), 0)', '(select count(*)::int from calm_rows(2))'],
]

const ofReads = READS.filter(({ isHarmful }) => isHarmful !== true).flatMap(({ make }) => {
  const made = make({
    ...{ relation: 't', ofRow: ':e', alone: ':x', harmless: 'id' },
    schema: { base: 't', sequence: 's', log: 't' } as never,
    random: undefined as never,
  })
  return typeof made === 'string' ? [made] : []
})
const PLACES = [...new Set([...ofReads, ...GRAMMAR_PLACES])]

// The schema has a table of that name.
const NAMES = TABLE_NAMES.filter((name) => name !== 't')

test('there are at least 179 places, and 67 names', () => {
  expect(PLACES.length).toBeGreaterThanOrEqual(179)
  expect(new Set(NAMES).size).toBeGreaterThanOrEqual(67)
})

const filledPlaces = PLACES.flatMap((place) =>
  EXPRESSIONS.map(([ofRow, alone]) =>
    place.replace(/(?<!:):([ex])\b/g, (_, which) => `(${which === 'e' ? ofRow : alone})`),
  ),
)

describe.each([
  ['a plain schema', SCHEMA, 'plain'],
  ['odd names beside it', `${SCHEMA};${ODD}`, 'odd'],
])('every place of the grammar, in %s', (_, schema, database) => {
  const product = useProduct(cluster, database, schema)

  test('is read on a replica, and pins nobody', { timeout: 120_000 }, async () => {
    expectReads(await runAll(product(), filledPlaces))
  })
})

describe('odd names', () => {
  const names = NAMES.map((name) => ({ name: quoted(name), codes: byCodePoints(name) }))
  const statements = names.map(({ name }) => `create table ${name} (${name} int, id int)`)
  const product = useProduct(cluster, 'names', `${SCHEMA};${statements.join(';')}`)

  test('are read on a replica, and pin nobody', { timeout: 120_000 }, async () => {
    const texts = names.flatMap(({ name, codes }) => [
      `select * from ${name}`,
      `table ${name}`,
      `select ${name} from ${name}`,
      `select ${name}.${name} from public.${name} order by ${name}.${name} limit 1`,
      `select x.${name} as ${name} from ${name} as x group by x.${name}`,
      `select ${name}.* from ${name} where ${name}.${name} = 1`,
      `select id as ${name} from ${name} order by ${name}`,
      `with ${name} as (select 1 as y) select y from ${name}`,
      `with x (${name}) as (values (1)) select ${name} from x`,
      `select count(*) over ${name} from ${name} window ${name} as (order by id)`,
      `select * from ${name} a join ${name} b using (${name})`,
      `select a.id from ${name} as a, lateral (select a.${name}) as ${name}`,
      `select * from (values (1)) as ${name} (${name})`,
      `select ${name} from (select 1 as ${name}) as ${name}`,
      `select id from ${name} where exists (select from ${name} as b where b.id = ${name}.id)`,
      `select ${codes} from ${name}`,
      `select id from ${codes} order by id`,
    ])
    expectReads(await runAll(product(), texts))
  })
})

function useProduct(of: PostgresCluster, database: string, schema: string): () => Product {
  let product: Product | undefined
  beforeAll(async () => {
    await of.primary.query(`create database ${database}`)
    const [replica] = of.replicas
    const url = (node: string) => node.replace(/[^/]*$/, database)
    const urls = [of.primary.connectionString, replica?.connectionString ?? ''].map(url) as [string, string]
    await buildBy(urls[0], schema)
    await of.waitForCatchup()
    product = await Product.open(...urls, 'select calm(1)')
  }, 60_000)
  afterAll(() => product?.close())
  return () => product as Product
}

async function buildBy(connectionString: string, schema: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  await client.query(schema)
  await client.end()
}

interface Read {
  readonly text: string
  readonly served: Served
}

async function runAll(product: Product, texts: readonly string[]): Promise<Read[]> {
  const reads: Read[] = []
  for (const [index, text] of texts.entries()) {
    const values = text.includes('$1') && !text.includes('generic_plan') ? [1, 1] : undefined
    const served = await product.run({
      ...{ mode: 'auto', client: index % 2 === 0 ? 'pool' : 'kysely', feature: 'grammar' },
      ...{
        isHarmless: true,
        isOfSession: false,
        steps: [values === undefined ? { text } : { text, values }],
      },
    })
    reads.push({ text, served })
  }
  return reads
}

function expectReads(reads: readonly Read[]): void {
  // What the server refuses says nothing; it must be little, or the places are wrong.
  const works = reads.filter(({ served }) => served.error === undefined)
  const refused = reads.filter(({ served }) => served.error !== undefined)
  expect(
    refused.length / reads.length,
    refused.map(({ text, served }) => `${text}: ${served.error?.message}`).join('\n'),
  ).toBeLessThan(0.03)
  const why = ({ text, served }: Read) =>
    `${served.routes.map(({ role, reason }) => `${role}: ${reason}`)} ${text}`
  const elsewhere = works.filter(({ served }) => served.routes.some(({ role }) => role !== 'replica'))
  const share = 1 - elsewhere.length / works.length
  expect(works.filter(({ served }) => served.isCounted).map(why)).toEqual([])
  expect(share, elsewhere.map(why).join('\n')).toBeGreaterThanOrEqual(0.99)
}
