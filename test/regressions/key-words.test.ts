import { sql } from 'kysely'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { countsAsWrite, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Tables that are named like key words, as Prisma names them after its models; and a function that is named like a verb.
const { cluster, open } = useShop({
  sql: [
    `create table log (m text)`,
    `insert into item (name) values ('lamp')`,
    `create function w(x int) returns int language plpgsql as
      $$ begin insert into log values ('w'); return x; end $$`,
    `create function update(x int) returns int language plpgsql as
      $$ begin insert into log values ('u'); return x; end $$`,
    `create unlogged table "end" (id int)`,
    `create unlogged table "row" (id int)`,
    `create function in_order(x int) returns int language plpgsql stable as
      $$ begin return (select x from item group by id limit 1); end $$`,
    `create function in_a_row(x int) returns int language sql stable as 'select x where row(x, 1) is not null'`,
    `create sequence "int"`,
    `create function in_ints(x int) returns int language sql stable as 'select x::int'`,
    `create function of_end(x int) returns bigint language plpgsql stable as
      $$ begin return (select count(*) from "end"); end $$`,
    `create function of_any_end(x int) returns bigint language plpgsql stable as
      $f$ declare n bigint; begin execute 'select count(*) from ' || quote_ident('end') into n; return n; end $f$`,
    `create function of_row(x int) returns bigint language sql stable as 'select count(*) from row'`,
    `create table "order" (id int)`,
    `create unlogged table "Group" (id int)`,
    `create unlogged table "limit" (id int)`,
    `create table "left" (id int)`,
    `alter table "left" enable row level security`,
    `create policy p on "left" using (w(id) > 0)`,
  ],
})
const db = open({ primaryTables: ['order'] })
const where = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))

beforeAll(async () => {
  await vi.waitFor(
    async () => expect(await where('select id from "limit"')).toEqual(['primary: primary-table']),
    5_000,
  )
})

describe('A table that is named like a key word', () => {
  test.each([
    'select id from item order by id',
    'select count(*) from item group by id',
    'select id from item limit 1',
    'select i.id from item i left join item j on i.id = j.id',
    'select in_order(id), in_a_row(id), in_ints(id) from item',
  ])('is not what that means in: %s', async (text) => {
    expect(await where(text)).toEqual(['replica: read'])
  })

  test.each([
    ['select id from "order"', 'primary: primary-table'],
    ['select id from public.order', 'primary: primary-table'],
    ['select id from "Group" group by id', 'primary: primary-table'],
    ['select id from "left"', 'primary: function'],
    ['select of_end(1)', 'primary: primary-table'],
    ['select of_any_end(1)', 'primary: primary-table'],
    ['select of_row(1)', 'primary: primary-table'],
  ])('is watched where it is named: %s', async (text, route) => {
    expect(await where(text)).toEqual([route])
  })
})

describe('A function that is named update', () => {
  test.each([
    'delete from item where update(1) = -1',
    'update item set name = name where update(1) = -1',
    'delete from item where "update"(1) = -1',
  ])('is called by a change of no row, which counts: %s', async (text) => {
    expect(await countsAsWrite(db, text)).toBe(true)
  })

  test('leaves a change of no row that does not call it what it was', async () => {
    expect(await countsAsWrite(db, 'delete from item where id = -1')).toBe(false)
    expect(await cluster.primary.query('select distinct m from log')).toEqual([{ m: 'u' }])
  })
})
