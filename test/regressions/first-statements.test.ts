import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// What only the catalog tells is not known when a process sends its first statements: they wait for that.
const { open } = useShop({
  sql: `
    create sequence counter;
    create table log (x int);
    create function writes(x int) returns int language plpgsql as $$ begin insert into log values (x); return x; end $$;
    create view writing as select writes(1) as x;
    create domain written as int check (writes(value) > 0);
    create function stable_default(x int default writes(1)) returns int language sql stable as 'select x'`,
})

test.each([
  ['select last_value from counter', 'primary: primary-table'],
  ['select x from writing', 'primary: function'],
  ['select 1::written', 'primary: function'],
  ['select stable_default()', 'primary: function'],
])('the first statement of all is where it belongs: %s', async (text, route) => {
  const routes = await whereAndWhyInRequest(() => sql.raw(text).execute(open()))
  expect(routes).toEqual([route])
})
