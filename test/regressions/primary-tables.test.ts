import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// A table that is to be read from the primary only is read by other names as well.
const { db } = useShop({
  sql: `
    create schema app;
    create table app.account (id int primary key, balance int);
    create table account_log (id int);
    create view open_account as select id from app.account;
    create view over_open as select count(*) from (select id from open_account) o;
    create schema other;
    create view other.open_account as select id from item;
    create materialized view kept as select * from app.account;
    create function balance(int) returns int language sql stable as $$ select balance from app.account where id = $1 $$;
    create function balance_by_view() returns bigint language plpgsql stable as
      $$ declare c bigint; begin select count into c from "over_open"; return c; end $$;
    create function atomic_balance() returns bigint language sql stable begin atomic select count(*) from app.account; end;
    create function calls_balance() returns int language sql stable as $$ select balance(1) $$;
    create function unrelated(account int) returns int language sql stable as $$ select 'account'::text::int $$;
    create function other_open() returns bigint language sql stable as $$ select count(*) from other.open_account $$;
    create table document (id int);
    alter table document enable row level security;
    create policy members on document using (exists (select from app.account where app.account.id = document.id));

    create table event (id int) partition by range (id);
    create table event_1 partition of event for values from (0) to (10) partition by range (id);
    create table event_1_1 partition of event_1 for values from (0) to (5);
    create table event_2 partition of event for values from (10) to (20);
    create table base (id int);
    create table derived () inherits (base)`,
  dialect: { primaryTables: ['App.Account', 'event_1', 'derived'] },
})

beforeAll(() => whenCatalogIsRead(db))

const routes = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))

describe('what reads a table of `primaryTables` by another name goes to the primary', () => {
  test.each([
    ['the table itself', 'select * from app.account'],
    ['a view over it', 'select * from open_account'],
    ['a view over that', 'select * from public.over_open'],
    ['a table whose policy looks into it', 'select * from document'],
    ['a function in SQL', 'select balance(1)'],
    ['a function in PL/pgSQL, by a view', 'select balance_by_view()'],
    ['a function whose body is kept as a tree', 'select atomic_balance()'],
    ['a function that calls such a function', 'select calls_balance()'],
    ['a partition of it', 'select * from event_1_1'],
    ['what it is a partition of', 'select * from event'],
    ['what it inherits from', 'select * from base'],
  ])('%s', async (_what, text) => {
    expect(await routes(text)).toEqual(['primary: primary-table'])
  })
})

describe('other names do not', () => {
  test.each([
    ['a view of the same name in another schema', 'select * from other.open_account'],
    ['a function that reads that', 'select other_open()'],
    ['a table whose name begins like it', 'select * from account_log'],
    ['another partition of the same table', 'select * from event_2'],
    ['a materialized view, which is as old as it is', 'select * from kept'],
  ])('%s', async (_what, text) => {
    expect(await routes(text)).toEqual(['replica: read'])
  })
})
