import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../support/cluster.ts'
import { whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// What a function declares of itself is a promise of its author's. PostgreSQL refuses an insert in a stable function, and lets it call a
// function that inserts.
const { cluster, db } = useShop({
  sql: `
    create sequence counter;
    create function writes() returns int language sql as $$ insert into item (name) values ('by a function') returning id $$;
    create schema app;
    create function app.writes(int) returns int language sql as $$ select public.writes() $$;
    create view numbered as select nextval('counter') as n;

    create function calls() returns int language sql stable as $$ select writes() $$;
    create function calls_quoted() returns int language sql stable as $$ select public."writes" () $$;
    create function calls_far() returns int language plpgsql stable as $$
      declare n int;
      begin
        -- not yet
        for n in select id from item loop
          if n > 0 then perform app.writes(n); end if;
        end loop;
        return n;
      end $$;
    create function calls_caller() returns int language plpgsql immutable as $$ begin return calls(); end $$;
    create function calls_dynamically() returns int language plpgsql stable as $$
      begin execute 'select writes()'; return 1; end $$;
    create function writes$now() returns int language sql as $$ select writes() $$;
    create function calls_dollars() returns int language plpgsql stable as $$
      begin execute $q$select writes$now()$q$; return 1; end $$;
    create function "it's"() returns int language sql as $$ select writes() $$;
    create function calls_apostrophe() returns int language plpgsql stable as $$
      begin execute 'select "it''s"()'; return 1; end $$;
    create function calls_apostrophe_in_dollars() returns int language plpgsql stable as $$
      begin execute $q$select "it's"()$q$; return 1; end $$;
    create function numbers() returns bigint language sql stable as $$ select nextval('counter') $$;
    create function reads_view() returns bigint language sql stable as $$ select n from numbered $$;
    create function atomic() returns int language sql stable begin atomic select writes(); end;
    create function atomic_number() returns bigint language sql stable begin atomic select nextval('counter'); end;
    create function atomic_caller() returns int language sql stable as $$ select atomic() $$;
    create function has_default(n bigint default nextval('counter')) returns bigint language sql stable as $$ select n $$;
    create function adds(a int, b int) returns int language sql stable as $$ select a + b + writes() * 0 $$;
    create aggregate sums(int) (sfunc = adds, stype = int, initcond = '0');
    create operator ### (leftarg = int, rightarg = int, function = adds);
    create function uses_operator() returns int language sql stable as $$ select 1 ### 2 $$;
    create view over_caller as select calls_caller() as n;
    create function not_readable() returns int language sql stable as $$ select length(E'a'
      'b') $$;

    create function reads() returns bigint language sql stable as $$ select count(*) from item where name <> 'writes()' $$;
    create function reads_more() returns text language plpgsql stable as $$
      declare writes int := 1; found_at timestamptz := clock_timestamp();
      begin
        -- calls writes(), it does not
        raise notice 'writes() % %', writes, random();
        return coalesce((select max(name) from item where id in (1, 2)), format('%s', reads()));
      end $$;
    create function reads_other(n int) returns int language sql immutable as $$ select n + 1 $$;
    create function trusted() returns int language sql stable as $$ select writes() $$;
    create function calls_trusted() returns int language sql stable as $$ select trusted() $$`,
  dialect: { replicaFunctions: ['trusted'] },
})

beforeAll(() => whenCatalogIsRead(db))

const routes = (text: string, on = db) => whereAndWhyInRequest(() => sql.raw(text).execute(on))

describe('a function that is declared stable or immutable goes to the primary, and pins, where it calls what may write', () => {
  test.each([
    ['by its text', 'calls()'],
    ['by its text, in quotes', 'public.calls_quoted()'],
    ['in a loop, with its schema', 'calls_far()'],
    ['through another that is declared stable', 'calls_caller()'],
    ['by a text in its text', 'calls_dynamically()'],
    ['by a text in its text, by a name with a dollar', 'calls_dollars()'],
    ['by a text in its text, by a name with an apostrophe', 'calls_apostrophe()'],
    ['by such a name in dollars', 'calls_apostrophe_in_dollars()'],
    ["where it is one of PostgreSQL's", 'numbers()'],
    ['by a view that it reads', 'reads_view()'],
    ['in a body that is kept as a tree', 'atomic()'],
    ["in such a body, one of PostgreSQL's", 'atomic_number()'],
    ['through such a body', 'atomic_caller()'],
    ['in the default of a parameter', 'has_default()'],
    ['as a step of an aggregate', 'sums(id) from item'],
    ['by an operator', 'uses_operator()'],
    ['and by an operator of its own', '1 ### 2'],
  ])('%s', async (_how, call) => {
    expect(await routes(`select ${call}`)).toEqual(['primary: function'])
  })

  test('also in a view', async () => {
    expect(await routes('select * from over_caller')).toEqual(['primary: function'])
  })

  test('also where it cannot be read', async () => {
    expect(await routes('select not_readable()')).toEqual(['primary: function'])
  })
})

test('a function that only reads is not mistaken for one that calls what stands in its strings and comments', async () => {
  for (const call of ['reads()', 'reads_more()', 'reads_other(1)']) {
    expect(await routes(`select ${call}`), call).toEqual(['replica: read'])
  }
})

test('what `replicaFunctions` names is trusted, and so is what calls it', async () => {
  const told = openDatabase(cluster, { replicaFunctions: ['writes', 'app.writes'] })
  await whenCatalogIsRead(told)
  // The net under it: the replica refuses what it does all the same.
  expect((await routes('select atomic()', told))[0]).toBe('replica: read')
  expect((await routes('select * from over_caller', told))[0]).toBe('replica: read')
  await told.destroy()
  expect((await routes('select calls_trusted()'))[0]).toBe('replica: read')
})

test('what `primaryFunctions` names takes with it what calls it', async () => {
  const told = openDatabase(cluster, { primaryFunctions: ['reads'] })
  await whenCatalogIsRead(told)
  expect(await routes('select reads()', told)).toEqual(['primary: function'])
  expect(await routes('select reads_more()', told)).toEqual(['primary: function'])
  await told.destroy()
})
