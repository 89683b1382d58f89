import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { postgresVersion } from '../support/postgres-version.ts'
import { countsAsWrite, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

/** From PostgreSQL 17 on. */
const OF_JSON = `
    create view returning_checked as select json_value(to_jsonb(id), '$' returning more_checked)::int as n from email;
    create view returning_int as select json_value(to_jsonb(id), '$' returning int) as n from email;
    create function returns_checked(x int) returns int language sql stable
      return json_value(to_jsonb(x), '$' returning checked)::int;
    create table returned (id int);
    alter table returned enable row level security;
    create policy p on returned using (json_value(to_jsonb(id), '$' returning checked)::int is not null);`

// What handles its own errors gives another answer on a replica, without a sign: so where it runs has to be told by the text and the
// catalog, also where neither a name with a parenthesis nor an operator is in it.
const { cluster, db } = useShop({
  sql: `
    create extension tablefunc;
    create sequence counter;
    create table log (m text);
    create function catching(x int) returns int language plpgsql as $$ begin
      begin insert into log values ('w'); exception when others then return -99; end; return x; end $$;
    create function catching_row(x int, y int) returns int language sql as 'select catching(x)';
    create function has_default(x int default catching(5)) returns int language sql stable as 'select x';
    create view caught as select catching(1) as id;

    create domain checked as int check (catching(value) > 0);
    create domain more_checked as checked;
    create domain numbered as bigint check (value < nextval('counter') + 1000);
    create domain harmless as int check (value > 0);
    create type with_checked as (a int, b more_checked);
    create table email (id int, checked checked, other with_checked);
    create table emails (all_checked checked[]);
    create function takes_checked(checked) returns int language sql stable as 'select 1';
    create function gives_checked(int) returns more_checked language sql stable as 'select $1';
    create function declares() returns int language plpgsql stable as $$ declare x checked := 5; begin return x; end $$;
    create function declares_column() returns int language plpgsql stable as
      $$ declare x email.checked%type; begin x := 5; return x; end $$;
    create function casts() returns int language sql stable as 'select cast(5 as checked) + 1';
    create function reads_column() returns int language plpgsql stable as
      $$ declare checked int; begin select e.checked into checked from email e where e.checked = 5; return checked; end $$;
    ${postgresVersion >= 17 ? OF_JSON : ''}
    create view casting as select id::checked from email;
    create view reading as select id, checked from email where checked > 3;
    create function calls_attribute() returns int language sql stable as 'select (5).catching';

    create function sums(s int, x int) returns int language sql immutable as 'select s + x';
    create function moves(s int, x int) returns int language sql as 'select catching(s + x)';
    create aggregate moving(int) (sfunc = sums, stype = int, initcond = '0',
      msfunc = moves, minvfunc = sums, mstype = int, minitcond = '0');
    create aggregate combined(int) (sfunc = sums, stype = int, initcond = '0', combinefunc = moves);
    create function pivot(text) returns table (a int, b int) as '$libdir/tablefunc', 'crosstab' language c stable strict;
    insert into email values (1, 5, row(1, 5)), (2, null, null)`,
})

beforeAll(() => whenCatalogIsRead(db))

const routes = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))

describe('what calls a function runs on the primary', () => {
  test.each<[what: string, text: string, parameters?: unknown[]]>([
    ['an attribute of a number', 'select (5).catching'],
    ['an attribute of a column', 'select (id).catching from email'],
    ['one of a parameter', 'select ($1).catching', [5]],
    ['an attribute that casts', "select ('5').checked"],
    ['one in the body of a function', 'select calls_attribute()'],
    ['the default of an argument', 'select has_default()'],
    ['a moving aggregate', 'select moving(id) over (order by id rows 1 preceding) from email'],
    ['a parallel aggregate', 'select combined(id) from email'],
    ['a function that runs a text', "select * from crosstab('select 1, 1, catching(5)') as (a int, b int)"],
    ['the same under another name', "select * from pivot('select 1, 1, catching(5)')"],
    ['a function that reads what a text names', "select table_to_xml('caught', true, false, '')"],
    ['a cast to a domain', 'select 5::checked'],
    ['to a domain of that', 'select cast(5 as public.more_checked)'],
    ['to an array', "select '{5}'::checked[]"],
    ['to a row', 'select row(1, 5)::with_checked'],
    ['to the row of a table', "select null::email, '(1,5,)'::email"],
    ['a domain before a string', "select checked '5'"],
    ['a domain like a function', 'select more_checked(5)'],
    ['a domain of columns', `select * from json_to_recordset('[{"a":5}]') as x(a checked)`],
    ['JSON as the row of a table', `select jsonb_populate_record(e, '{"checked":5}') from email e`],
    ['an element of a domain', "select all_checked || '{5}' from emails"],
    ...(postgresVersion >= 16
      ? [['a domain named in a text', "select pg_input_is_valid('5', 'checked')"] as [string, string]]
      : []),
    ["a domain whose check calls PostgreSQL's own function", 'select 5::numbered'],
    ...(postgresVersion >= 17
      ? ([
          ['a view of JSON as a domain', 'select n from returning_checked'],
          ['a function of JSON as a domain', 'select returns_checked(5)'],
          ['a policy of JSON as a domain', 'select id from returned'],
        ] as [string, string][])
      : []),
    ['an argument of a domain', 'select takes_checked(5)'],
    ['a result of a domain', 'select gives_checked(5)'],
    ['a variable of a domain', 'select declares()'],
    ['a variable of such a column', 'select declares_column()'],
    ['a cast in a function', 'select casts()'],
    ['a cast in a view', 'select * from casting'],
  ])('%s', async (_what, text, parameters = []) => {
    const query = parameters.length === 0 ? sql.raw(text) : sql`select (${parameters[0]}::int).catching`
    expect(await whereAndWhyInRequest(() => query.execute(db))).toEqual(['primary: function'])
  })
})

describe('what only reads runs on a replica', () => {
  test.each([
    'select checked, other from email where checked = 5',
    'select all_checked from emails',
    'select checked as "checked", e.checked from email e order by checked',
    'select (other).b, (other).a from email',
    'select * from reading where checked in (5, 6)',
    ...(postgresVersion >= 17 ? ['select n from returning_int'] : []),
    'select 5::harmless, harmless(5)',
    'select reads_column()',
    'select checked.id from email checked',
    'select sums(1, 2), (e).id from email e',
    'select 1 as catching',
  ])('%s', async (text) => {
    expect(await routes(text)).toEqual(['replica: read'])
  })
})

test('an attribute that takes a lock leaves none on a replica', async () => {
  expect(await routes('select (7::bigint).pg_advisory_xact_lock')).toEqual(['primary: session'])
})

test('a change of no row counts where an attribute, a cast or an operator in it may write', async () => {
  await cluster.primary.query('create table plain (id int, a int)')
  expect(await countsAsWrite(db, 'update email set id = 0 where (id).catching = -1')).toBe(true)
  expect(await countsAsWrite(db, 'update email set id = 0 where id::checked = -1')).toBe(true)
  expect(await countsAsWrite(db, 'update email set id = 0 where id = -1')).toBe(false)
})
