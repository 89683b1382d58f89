import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { heldAfter, rawKysely } from '../support/raw-clients.ts'
import { whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Functions are volatile unless they are declared otherwise, and what an operator, a cast or a row function calls is a function. A text
// calls it with a value of that type, and so it names what such a value comes from.
const { db } = useShop({
  sql: `
    create table note (id int, text text, title text, ct int, mood text);
    create type ct as (x int);
    create function ct_eq(p ct, q ct) returns bool language sql as 'select p.x = q.x';
    create operator = (leftarg = ct, rightarg = ct, function = ct_eq);
    create operator <> (leftarg = ct, rightarg = ct, function = ct_eq);
    create operator ~~ (leftarg = ct, rightarg = ct, function = ct_eq);
    create function ct_text(p ct) returns text language sql as 'select p.x::pg_catalog.text';
    create cast (ct as text) with function ct_text(ct);
    create function title(p ct) returns text language sql as 'select p.x::pg_catalog.text';

    create schema shop;
    create table shop.price (id int, amount ct);
    create view cheap as select id, amount from shop.price;
    create table prices (of_all ct[]);
    create domain positive as ct;
    create type span as (low positive, high ct);
    create table spans (id int, span span);
    create table more_spans () inherits (spans);
    create function price_of(int) returns ct language sql stable as 'select amount from shop.price where id = $1';
    create function compares() returns bool language sql stable as 'select bool_and(amount in (select amount from cheap)) from cheap';
    create function reads_notes() returns text language sql stable as 'select text from note where id = 1 order by title';

    create type sorted as (x int);
    create function sorted_lt(p sorted, q sorted) returns bool language sql immutable as 'select p.x < q.x';
    create function sorted_eq(p sorted, q sorted) returns bool language sql immutable as 'select p.x = q.x';
    create function sorted_cmp(p sorted, q sorted) returns int language sql as 'select p.x - q.x';
    create operator < (leftarg = sorted, rightarg = sorted, function = sorted_lt);
    create operator = (leftarg = sorted, rightarg = sorted, function = sorted_eq);
    create operator class sorted_ops default for type sorted using btree as operator 1 <, operator 3 =, function 1 sorted_cmp(sorted, sorted);
    create table ranking (id int, rank sorted);
    create view ranked as select id from ranking order by rank;
    create view unranked as select id from ranking;
    create view highest as select id from ranking where (greatest(rank, row(1)::sorted)).x > 1;
    create type ranks as range (subtype = sorted, subtype_opclass = sorted_ops);
    create view ranged as select id from ranking where (lower(ranks(row(0)::sorted, rank))).x > -1;
    create view made_range as select (lower(ranks(row(0)::sorted, row(1)::sorted))).x as n;
    create table in_range (id int, n int);
    alter table in_range enable row level security;
    create policy ranged on in_range using ((lower(ranks(row(0)::sorted, row(id)::sorted))).x is not null);
    create view highest_of_all as select id from highest;
    create view distinct_rows as select distinct r from ranking r;
    create view distinct_ids as select distinct id, greatest(id, 1) from ranking;

    create function plus(int, int) returns int language sql as 'select $1 + $2';
    create operator ### (leftarg = int, rightarg = int, function = plus);
    create function to_ct(int) returns ct language sql as 'select row($1)::ct';
    create cast (int as ct) with function to_ct(int) as implicit;
    create function takes_ct(ct) returns int language sql stable as 'select 1';

    create table person (id int, first_name text, last_name text);
    create table employee () inherits (person);
    create function full_name(p person) returns text language sql as $$ select p.first_name || p.last_name $$;
    create function any_name(p anyelement) returns text language sql as $$ select 'any' $$;
    create function reads_full_name() returns text language sql stable as 'select p.full_name from person p limit 1';
    create function reads_person() returns text language sql stable as 'select p.first_name from person p limit 1'`,
})

beforeAll(() => whenCatalogIsRead(db))

const routes = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))

describe('an operator or a cast of a type runs on the primary', () => {
  test.each([
    'select row(1)::ct in (row(2)::ct)',
    'select row(1)::ct != row(2)::ct',
    'select case row(1)::ct when row(2)::ct then 1 end',
    'select nullif(row(1)::ct, row(2)::ct) is null',
    'select row(1)::ct like row(2)::ct',
    'select row(1)::ct::text',
    'select cast(row(1)::ct as character varying)',
    'select id from shop.price where amount = $$(1)$$',
    'select distinct amount::text from cheap',
    'select of_all::text[] from prices',
    'select id from spans order by (span).high::text',
    'select id from more_spans where span = span',
    'select price_of(1) = price_of(2)',
    'select compares()',
    'select id from ranking order by rank',
    'select max(id) from ranking group by rank',
    'select id from ranked',
    'select id from highest',
    'select id from highest_of_all',
    'select id from ranged',
    'select n from made_range',
    'select n from in_range',
    'explain select lower(ranks(row(0)::sorted, row(1)::sorted))',
    'explain select compares()',
    'select count(*) from distinct_rows',
    'select 1 ### 2',
    'select 1::ct',
    'select takes_ct(1)',
  ])('%s', async (text) => {
    expect(await routes(text)).toEqual(['primary: function'])
  })
})

// Whatever was prepared, what it is given is worked out first.
test.each([
  ['counts with an operator of theirs', 'execute asked(1 ### 2)', 'primary'],
  ['counts with a cast of theirs', 'execute asked((takes_ct(1)))', 'primary'],
  ["counts for nothing with PostgreSQL's own", 'execute asked(1 + 2)', undefined],
])('an argument of execute %s', async (_what, text, held) => {
  const client = rawKysely(() => db)
  const work = () =>
    client.onOne(async (run) => {
      await run('prepare asked(int) as select $1')
      await run(text)
      await run('deallocate asked')
    })
  expect(await heldAfter('time', work)).toBe(held)
})

describe('what names no such type runs on a replica, whatever its signs and words', () => {
  test.each([
    'select id from note where id = 1 and title <> $$a$$ order by title',
    'select text from note',
    'select id::text, n.text, n.title from note n',
    'select ct, n.ct::text from note n where n.ct in (1, 2)',
    'select distinct title from note where title like $$a%$$',
    'select id, amount from shop.price',
    'select id from unranked',
    'select id from distinct_ids',
    'select reads_notes()',
    'select 1 # 2',
    'explain select plus(1, 2)',
    'explain select id from ranking order by rank',
  ])('%s', async (text) => {
    expect(await routes(text)).toEqual(['replica: read'])
  })
})

describe('a function of a row that is read like a column', () => {
  test.each([
    'select p.full_name from person p',
    'select p.full_name from employee p',
    'select person.full_name from public.person',
    'select (p).full_name from person p',
    'select n.any_name from note n',
    'select reads_full_name()',
  ])('runs on the primary: %s', async (text) => {
    expect(await routes(text)).toEqual(['primary: function'])
  })

  test.each([
    'select first_name, p.last_name from person p',
    'select n.title from note n',
    'select (p).last_name from person p',
    'select reads_person()',
    'select n.full_name from (select title as full_name from note) n',
  ])('is none here: %s', async (text) => {
    expect(await routes(text)).toEqual(['replica: read'])
  })
})
