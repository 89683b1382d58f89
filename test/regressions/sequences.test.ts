import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { StatementClassifier } from '../../src/sql/classifier.ts'
import { readCatalog } from '../sql/read-catalog.ts'
import { countsAsWrite, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// A sequence is logged 32 values ahead: a replica knows what was not given out yet, and the server sees most calls as no write.
const { cluster, db } = useShop({
  sql: `
    create sequence counter;
    create schema app;
    create sequence app."Counter";
    create view last as select last_value from counter;
    create view over_last as select last_value + 1 as next from last;
    create function last_one() returns bigint language sql stable as 'select last_value from counter';
    create table parent (id int);
    create unlogged table child () inherits (parent);
    create view of_parent as select id from parent;

    create table note (id int, counter int, last int);
    create function advances() returns bigint language sql as $$ select nextval('counter') $$;
    create function calls_advances() returns bigint language plpgsql as $$ begin return advances() + 1; end $$;
    create function stable_advances() returns bigint language sql stable as $$ select calls_advances() $$;
    create function calls_stable() returns bigint language sql as $$ select stable_advances() $$;
    create function step(s bigint, n int) returns bigint language sql as $$ select advances() $$;
    create function back(s bigint, n int) returns bigint language sql immutable as 'select s';
    create function plain_step(s bigint, n int) returns bigint language sql immutable as 'select s + n';
    create aggregate numbers_of(int) (sfunc = step, stype = bigint);
    create aggregate moving(int) (sfunc = plain_step, stype = bigint, msfunc = step, minvfunc = back, mstype = bigint);
    create function aggregates() returns bigint language sql as $$ select numbers_of(id) from note $$;
    create function "x.y"() returns bigint language sql as $$ select nextval('counter') $$;
    create function calls_quoted() returns bigint language plpgsql as $$ begin return public."x.y"(); end $$;
    create function "a""b"() returns bigint language sql as $$ select nextval('counter') $$;
    create function "Audit"() returns bigint language sql as $$ select nextval('counter') $$;
    create function a$b() returns bigint language sql as $$ select nextval('counter') $$;
    create function calls_dollar() returns bigint language plpgsql as $f$ begin return a$b(); end $f$;
    create function runs_text() returns xml language sql as $$ select query_to_xml('select 1', true, false, '') $$;
    create function runs(text) returns void language plpgsql as $$ begin execute $1; end $$;
    create function atomic_number() returns bigint language sql begin atomic select nextval('counter'); end;
    create function with_default(n bigint default nextval('counter')) returns bigint language sql as 'select n';
    create function only_reads() returns bigint language plpgsql as $$ begin return (select count(*) from note); end $$;
    create view numbered as select nextval('counter') as n;
    create view plainly as select only_reads() as n;
    create domain numbers as bigint check (value < nextval('counter'));
    select nextval('counter')`,
})

beforeAll(() => whenCatalogIsRead(db))

const routes = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))

test.each([
  'select last_value from counter',
  'select last_value, log_cnt, is_called from public.counter',
  'table counter',
  'select last_value from item_id_seq',
  'select last_value from app."Counter"',
  'select * from last',
  'select next from over_last',
  'select last_one()',
  "select last_value from pg_sequences where sequencename = 'counter'",
  "select pg_sequence_last_value('counter'::regclass)",
  'select id from parent',
  'select id from of_parent',
])('%s is read on the primary', async (text) => {
  expect(await routes(text)).toEqual(['primary: primary-table'])
})

test.each([
  'select counter, last from note',
  'select counter.id, counter.counter from note as counter',
  "select seqincrement from pg_sequence where seqrelid = 'counter'::regclass",
  'select sequence_name from information_schema.sequences',
])('%s is read on a replica', async (text) => {
  expect(await routes(text)).toEqual(['replica: read'])
})

describe('what may advance a sequence', () => {
  const options = { primaryTables: [], unpinnedTables: [], primaryFunctions: [], replicaFunctions: [] }
  const classifier = new StatementClassifier(options)

  beforeAll(async () => {
    classifier.catalog = await readCatalog(
      (text, values) => cluster.primary.query(text, values as unknown[]),
      options,
    )
  })

  test('is told from what may write something else', () => {
    const effectOf = (name: string) =>
      classifier.catalog.effectOf({ schema: undefined, name, isKeyWord: false })
    for (const name of [
      'nextval',
      'setval',
      'advances',
      'calls_advances',
      'stable_advances',
      'calls_stable',
      'numbers_of',
      'moving',
      'aggregates',
      'x.y',
      'calls_quoted',
      'a$b',
      'calls_dollar',
      'query_to_xml',
      'runs_text',
      'runs',
      'atomic_number',
      'with_default',
    ])
      expect(effectOf(name), name).toBe('sequence')
    expect(effectOf('only_reads')).toBe('volatile')
  })

  test('is also told of views and types', () => {
    const advances = (text: string) => {
      const { blocker } = classifier.classify(text)
      return blocker?.kind === 'relation' && blocker.cause.advances === true
    }
    expect(advances('select n from numbered')).toBe(true)
    expect(advances('select 5::numbers')).toBe(true)
    expect(advances('select n from plainly')).toBe(false)
  })
})

test.each<[string, boolean]>([
  ["select query_to_xml('select id from note', true, false, '')", false],
  ["select table_to_xml('note', true, false, '')", false],
  ["select query_to_xml('select nextval(''counter'')', true, false, '')", true],
  ["select query_to_xml('select calls_advances()', true, false, '')", true],
  [`select query_to_xml('select "Audit"()', true, false, '')`, true],
  [`select query_to_xml('select "x.y"()', true, false, '')`, true],
  [`select query_to_xml('select "a""b"()', true, false, '')`, true],
  [`select query_to_xml('select "id" from note', true, false, '')`, false],
  ["select table_to_xml('numbered', true, false, '')", true],
])('a text that is run counts where it may advance a sequence: %s', async (text, counts) => {
  // Once it gives an id, 31 times it does not.
  for (let at = 0; at < 2; at++) expect(await countsAsWrite(db, text)).toBe(counts)
})
