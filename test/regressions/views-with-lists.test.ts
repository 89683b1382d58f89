import { sql } from 'kysely'
import { beforeAll, expect, test } from 'vitest'
import { countsAsWrite, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// From PostgreSQL 14 on the tree of a view that has a list in it (`in`, `= any`) names two functions that are none: those with which
// such a list would be hashed.
const { db } = useShop({
  sql: `
    create view chosen as select id, name from item where id in (1, 2, 3);
    create view left_out as select id, name from item where id not in (1, 2, 3);
    create view one_of as select id, name from item where id = any (array[1, 2, 3]);
    create view none_of as select id, name from item where id <> all (array[1, 2, 3]);
    create view over_chosen as select * from chosen;
    create function of_chosen() returns bigint language sql stable as $$ select count(*) from over_chosen $$;
    create view locking as select id, name from item where id in (1, 2, 3) for update;
    create view over_locking as select * from locking;
    create sequence counter;
    create function same(int, int) returns boolean language sql as $$ select nextval('counter') > 0 and $1 = $2 $$;
    create operator === (leftarg = int, rightarg = int, function = same);
    create view counted as select id, name from item where id operator(public.===) any (array[1, 2, 3]);
    create view numbered as select id, nextval('counter') as n from item where id in (1, 2, 3)`,
})

beforeAll(() => whenCatalogIsRead(db))

test.each([
  'select * from chosen',
  'select * from left_out',
  'select * from one_of',
  'select * from none_of',
  'select * from over_chosen',
  'select of_chosen()',
])('a view with a list of values is read on a replica, and pins nobody: %s', async (text) => {
  expect(await whereAndWhyInRequest(() => sql.raw(text).execute(db))).toEqual(['replica: read'])
  expect(await countsAsWrite(db, text)).toBe(false)
})

test.each([
  ['locks rows', 'select * from locking'],
  ['is made of one that locks rows', 'select * from over_locking'],
  ['compares with an operator whose function is volatile', 'select * from counted'],
  ['calls a volatile function', 'select * from numbered'],
])('a view with a list of values that also %s is read on the primary', async (_what, text) => {
  expect(await whereAndWhyInRequest(() => sql.raw(text).execute(db))).toEqual(['primary: function'])
})
