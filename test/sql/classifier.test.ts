import { describe, expect, test } from 'vitest'
import { catalogOf } from '../../src/sql/catalog.ts'
import type { FunctionRow } from '../../src/sql/catalog-queries.ts'
import { NO_FUNCTION } from '../../src/sql/cause.ts'
import { type ClassifierOptions, StatementClassifier } from '../../src/sql/classifier.ts'
import { FunctionFacts, FunctionRules } from '../../src/sql/function-facts.ts'
import { PlainTables } from '../../src/sql/relation-facts.ts'
import { readStatementText } from '../../src/sql/statement-reader.ts'
import { NameMap, type TableName, WatchedNames } from '../../src/sql/table-names.ts'
import { TypeFacts } from '../../src/sql/type-facts.ts'

const NO_NAMES: ClassifierOptions = {
  primaryTables: [],
  unpinnedTables: [],
  primaryFunctions: [],
  replicaFunctions: [],
}

const CATALOG = catalogOf(
  functionsOf([
    {
      schema: 'pg_catalog',
      is_volatile: true,
      is_own: false,
      takes_one: true,
      names: ['nextval', 'random', 'set_config'],
    },
    {
      schema: 'pg_catalog',
      is_volatile: false,
      is_own: false,
      takes_one: false,
      names: ['lower', 'count', 'now', 'treat'],
    },
    { schema: 'extensions', is_volatile: true, is_own: false, takes_one: false, names: ['uuid_generate_v4'] },
    {
      schema: 'public',
      is_volatile: true,
      is_own: true,
      takes_one: true,
      names: ['log_access', '.', 'as', 'first', 'x'.repeat(63)],
    },
    { schema: 'app', is_volatile: true, is_own: true, takes_one: false, names: ['set_config'] },
    { schema: 'app', is_volatile: false, is_own: true, takes_one: false, names: ['reads_scratch'] },
  ]),
  {
    areRead: true,
    effectful: namesOf([
      { schema: 'public', table: 'Ä' },
      { schema: 'public', table: 'over_view' },
    ]),
    types: typesOf(),
    typesOnPrimary: new TypeFacts(),
    onPrimary: namesOf([{ schema: 'public', table: 'scratch_view' }]),
    plain: plainTablesOf(['public.t', 'public.both', 'app.both', 'app.view'], ['public.view']),
    mayDefer: false,
    callers: new Map(),
    readers: new Set(['app.reads_scratch', 'reads_scratch']),
  },
)

function functionsOf(rows: readonly Omit<FunctionRow, 'oids'>[]): FunctionFacts {
  const facts = new FunctionFacts(new FunctionRules(NO_NAMES))
  for (const row of rows) facts.add({ ...row, oids: row.names })
  return facts
}

function namesOf<Value>(names: readonly TableName[], value?: Value): NameMap<never> {
  const found = new NameMap<unknown>()
  for (const name of names) found.add(name, value ?? true)
  return found as NameMap<never>
}

/** `@@@` is an operator of PostgreSQL's types, `money_type` an operated type of the column of `price`, `checked` a checked type. */
function typesOf(): TypeFacts {
  const types = new TypeFacts()
  types.addSign('@@@', NO_FUNCTION)
  types.addRowFunction('item_seen', NO_FUNCTION, namesOf([{ schema: 'public', table: 'item' }]))
  for (const table of ['money_type', 'price', 'to_money']) {
    types.addOperated({ schema: 'public', table }, NO_FUNCTION)
  }
  types.addChecked({ schema: 'public', table: 'checked' }, NO_FUNCTION)
  types.addCheckedRow({ schema: 'public', table: 'of_checked' }, NO_FUNCTION)
  return types
}

function plainTablesOf(tables: readonly string[], others: readonly string[]): PlainTables {
  const plain = new PlainTables()
  for (const [schema = '', table = ''] of tables.map((each) => each.split('.'))) plain.add(schema, table)
  for (const [schema = '', table = ''] of others.map((each) => each.split('.'))) plain.addOther(schema, table)
  return plain
}

function classifierWith(options: Partial<ClassifierOptions> = {}, heard: string[] = []): StatementClassifier {
  const classifier = new StatementClassifier({ ...NO_NAMES, ...options }, (unknown) => {
    heard.push('table' in unknown ? unknown.table : unknown.name)
    return true
  })
  classifier.catalog = CATALOG
  return classifier
}

function kindOf(sql: string): string {
  return classifierWith().classify(sql).kind
}

test('an expression may follow `distinct on (…)` and `operator(…)`, however they nest', () => {
  expect(kindOf("select distinct on (a operator(+) b) nextval('s')")).toBe('function')
  expect(kindOf("select distinct on ((select distinct on (a) b)) nextval('s')")).toBe('function')
  expect(kindOf('select distinct on (a operator(+) b) lower(a)')).toBe('read')
})

test('a quoted name is never taken for a word or for punctuation', () => {
  expect(kindOf('select "."(1)')).toBe('function')
  expect(kindOf('select "as"(1)')).toBe('function')
  expect(kindOf('select a as "as", "."')).toBe('read')
})

test('a name with Unicode escapes is the one that they make', () => {
  expect(kindOf(`select U&"id" from t`)).toBe('read')
  expect(kindOf(`select U&"next\\0076al"('s')`)).toBe('function')
  expect(kindOf(`select u&"next!0076al" uescape '!' ('s')`)).toBe('function')
  expect(kindOf(`select u&"next!+000076al"/* x */UESCAPE\n'!'('s')`)).toBe('function')
  expect(kindOf(`select U&"a\\\\0076""b", U&"\\d83d\\de00" from t`)).toBe('read')
  expect(kindOf(`select U&"a\\\\0076""b" uescape_, U&"\\+01f600" from t`)).toBe('read')
  for (const odd of [
    'U&"\\0000"',
    'U&"\\00"',
    'U&"\\d83d"',
    'U&""',
    `U&"a" uescape '+'`,
    `U&"a" uescape E'!'`,
    `U&"a" uescape '''`,
  ])
    expect(kindOf(`select ${odd} from t`), odd).toBe('write')
})

test('a hexadecimal number ends where its digits end', () => {
  expect(kindOf("select 0xe+nextval('s')")).toBe('function')
  expect(kindOf('select 0xe+deaf(1)')).toBe('function')
})

test('a name is cut where PostgreSQL cuts it', () => {
  expect(kindOf(`select ${'x'.repeat(70)}(1)`)).toBe('function')
  expect(kindOf(`select "${'x'.repeat(70)}"(1)`)).toBe('function')
})

test('a zero byte ends what the server reads', () => {
  expect(kindOf('select 1 \0 for update')).toBe('write')
})

test('what `treat` calls is named by a type', () => {
  const classifier = new StatementClassifier(NO_NAMES)
  expect(classifier.classify("select treat('s' as nextval)").kind).toBe('function')
})

test('before the catalog is known, a function that is named like a key word is no syntax', () => {
  const classifier = new StatementClassifier(NO_NAMES)
  for (const call of ['refresh(1)', 'set(1)', 'next(1)', 'value(1)', 'lock(1)', 'log(1)'])
    expect(classifier.classify(`select ${call}`).kind, call).toBe('function')
  for (const rest of [
    'order by 1 fetch first (1) rows only',
    'where a like (b) escape (c)',
    'group by rollup (a), cube (b)',
  ])
    expect(classifier.classify(`select 1 from t ${rest}`).kind, rest).toBe('read')
})

test("an application's function counts for what it is, whatever it is called; an extension's for what is known of it", () => {
  expect(kindOf("select app.set_config('x')")).toBe('function')
  expect(kindOf("select set_config('x')")).toBe('function')
  expect(kindOf("select pg_catalog.set_config('x', 'y', true)")).toBe('session')
  expect(kindOf('select extensions.uuid_generate_v4(), uuid_generate_v4()')).toBe('read')
  expect(kindOf('select first(1)')).toBe('function')
})

test('the reading of a relation does what the catalog says, spelled as it does, and in its own schema only', () => {
  expect(kindOf('select * from over_view')).toBe('function')
  expect(kindOf('select * from public.over_view')).toBe('function')
  expect(kindOf('select * from app.over_view')).toBe('read')
  expect(kindOf('select * from plain_view')).toBe('read')
  expect(kindOf('select * from Ä')).toBe('function')
  expect(kindOf('select * from "Ä"')).toBe('function')
  expect(kindOf('select * from scratch_view')).toBe('primary-table')
  expect(kindOf('select * from app.scratch_view')).toBe('read')
  expect(kindOf('select app.reads_scratch()')).toBe('primary-table')
})

test('a function of a row that is read like a column is found behind a name, where the row comes from somewhere', () => {
  expect(kindOf('select i.item_seen from item i')).toBe('function')
  expect(kindOf('select (i).item_seen from item i')).toBe('read')
  expect(kindOf('select item_seen, i.id from item i')).toBe('read')
  expect(kindOf('select n.item_seen from note n')).toBe('read')
})

test('an attribute is a call of a function of one argument, and of nothing that is not known', () => {
  expect(kindOf('select (5).log_access')).toBe('function')
  expect(kindOf('select (5).lower, ($1).unheard_of, a[1].set')).toBe('read')
  expect(kindOf("select ('s'::regclass).nextval")).toBe('function')
})

test('an operator of a type does more where the type is named, or what has or gives a value of it', () => {
  for (const text of [
    "select '1'::money_type in ('2')",
    'select id from price order by amount',
    'select distinct amount from public.price',
    'select to_money(1) = to_money(2)',
    'select (1).to_money',
  ])
    expect(kindOf(text), text).toBe('function')
  for (const text of [
    'select id, amount from price',
    'select id from note where id = 1 order by price',
    'select money_type from note where id in (1, 2)',
    'select id from app.price order by id',
  ])
    expect(kindOf(text), text).toBe('read')
})

test('a type that is checked does more where something is cast to it', () => {
  for (const text of [
    'select $1::checked',
    'select cast(a as public.checked) from note',
    "select checked '5'",
    'select checked(5)',
    "select ('5').checked",
    'select jsonb_populate_record(o, $1) from of_checked o',
    "select pg_input_is_valid('5', 'checked')",
  ])
    expect(kindOf(text), text).toBe('function')
  for (const text of [
    'select checked from of_checked where checked = $1',
    'select 1 as checked, a checked from note',
  ])
    expect(kindOf(text), text).toBe('read')
})

test('an operator is found also where a sign touches it', () => {
  expect(kindOf('select 1 @@@ 2')).toBe('function')
  expect(kindOf('select 1 @@@-2')).toBe('function')
  expect(kindOf('select 1 @@ 2')).toBe('read')
})

test('a plan is only a plan', () => {
  expect(kindOf('explain select * from over_view')).toBe('read')
  expect(kindOf('explain (costs off) insert into t values (1)')).toBe('read')
  expect(kindOf('explain (costs off, analyze) insert into t values (1)')).toBe('write')
  expect(kindOf("explain ((select nextval('s')))")).toBe('read')
  expect(kindOf("explain (select nextval('s'))")).toBe('read')
  for (const off of ['analyze false', 'analyze OFF', 'ANALYSE 0', 'analyze, verbose, "analyze" \'off\''])
    expect(kindOf(`explain (${off}) insert into t values (1)`), off).toBe('read')
  for (const on of [
    'analyze',
    'analyze true',
    'analyze 1',
    'analyze off, analyze',
    'analyze "false"',
    'analyze -1',
  ])
    expect(kindOf(`explain (${on}, costs off) insert into t values (1)`), on).toBe('write')
})

test('a change of no row has no effect where its table is known to be plain, unless what it calls or reads has one', () => {
  const classifier = classifierWith()
  const needsRows = (sql: string) => classifier.classify(sql).needsRows
  expect(classifier.classify('update t set a = lower(b)').isInDoubt).toBe(false)
  expect(needsRows('update t set a = lower(b)')).toBe(true)
  expect(needsRows('update t set a = random()')).toBe(true)
  const calling = classifier.classify('update t set a = 1 where log_access(id)')
  expect(calling).toMatchObject({ needsRows: true, isInDoubt: true })
  for (const text of [
    'update t set a = 1 where id in (select id from over_view)',
    'delete from t where a @@@ 1',
  ])
    expect(classifier.classify(text), text).toMatchObject({ needsRows: true, isInDoubt: true })
  expect(needsRows("update t set a = 1 where nextval('s') < 0")).toBe(false)
  expect(needsRows('with x as (delete from u) update t set a = 1')).toBe(false)
  expect(needsRows('insert into t values (1)')).toBe(false)
})

test('a table of a name that is not known, or that is also that of another relation, is not known to be plain', () => {
  const classifier = classifierWith()
  const needsRows = (sql: string) => classifier.classify(sql).needsRows
  expect(needsRows('delete from both')).toBe(true)
  expect(needsRows('delete from app.both')).toBe(true)
  expect(needsRows('delete from other.both')).toBe(false)
  expect(needsRows('delete from made_since')).toBe(false)
  expect(needsRows('delete from view')).toBe(false)
  expect(needsRows('delete from app.view')).toBe(true)
  expect(needsRows('delete from pg_temp.t')).toBe(false)
  expect(needsRows('delete from "T"')).toBe(false)
})

test('what changes the schema is told from other writes, and what may make a table do more from the rest', () => {
  const classifier = classifierWith()
  const definition = (sql: string) => classifier.classify(sql).defines
  expect(definition('create trigger a before delete on t for each row execute function f()')).toBe('effects')
  expect(definition('begin; ALTER TABLE t enable row level security; commit')).toBe('effects')
  expect(definition("do $$ begin execute 'create rule a as on delete to t do nothing'; end $$")).toBe(
    'effects',
  )
  expect(definition('create table made (id int)')).toBe('something')
  expect(definition('drop table made')).toBe('something')
  expect(definition("insert into t values ('create trigger')")).toBe('nothing')
  expect(definition('truncate t')).toBe('nothing')
})

test('only writes to unpinned tables alone do not count', () => {
  const classifier = classifierWith({ unpinnedTables: ['session', 'app.seen', 'over_view'] })
  const counts = (sql: string) => classifier.classify(sql).countsAsWrite
  expect(
    counts(
      "insert into session (sid, data) values ($1, lower($2)) on conflict (sid) do update set (data) = row('x')",
    ),
  ).toBe(false)
  expect(counts('update "session" set data = $1')).toBe(false)
  expect(counts('delete from only public.session')).toBe(false)
  expect(
    counts(
      'merge into app.seen using x on true when matched then update set a = 1 when not matched then insert (a) values (1)',
    ),
  ).toBe(false)
  expect(counts('update seen set a = 1')).toBe(true)
  expect(counts('update over_view set n = 1')).toBe(false)
  expect(counts('insert into session select n from over_view')).toBe(true)
  expect(counts('insert into session values (log_access($1))')).toBe(true)
  expect(counts('with x as (insert into t values (1) returning a) insert into session select a from x')).toBe(
    true,
  )
  expect(counts('insert into session values (1); insert into t values (1)')).toBe(true)
})

test('what runs a prepared statement may write', () => {
  const classifier = classifierWith()
  expect(classifier.classify('execute p')).toMatchObject({ kind: 'session', countsAsWrite: true })
  expect(classifier.classify("commit prepared 'x'")).toMatchObject({ kind: 'write', countsAsWrite: true })
  expect(classifier.classify('prepare p as select 1')).toMatchObject({
    kind: 'session',
    countsAsWrite: false,
  })
})

test('the options decide about functions and tables that they name', () => {
  const heard: string[] = []
  const options = {
    primaryTables: ['Account'],
    primaryFunctions: ['lower'],
    replicaFunctions: ['log_access'],
  }
  const classifier = classifierWith(options, heard)
  expect(classifier.classify('select * from account').kind).toBe('primary-table')
  expect(classifier.classify('select * from "Account"').kind).toBe('primary-table')
  expect(classifier.classify('select lower(a)')).toMatchObject({
    kind: 'function',
    blocker: { kind: 'function', call: { name: 'lower' } },
  })
  expect(classifier.classify('select log_access(1)').kind).toBe('read')
  expect(heard).toEqual([])
  classifier.classify('select made_yesterday(1)')
  expect(heard).toEqual(['made_yesterday'])
})

test('a text that was refused stays a write, also for another catalog', () => {
  const classifier = classifierWith()
  expect(classifier.classify('select 1').kind).toBe('read')
  classifier.learnRefused('select 1')
  classifier.catalog = CATALOG
  expect(classifier.classify('select 1')).toMatchObject({ kind: 'write', countsAsWrite: true })
})

test('a text tells what it does to a transaction, whatever stands around its words', () => {
  const classifier = classifierWith()
  const does = (sql: string) => classifier.classify(sql).transaction
  for (const sql of [
    'begin',
    '/* a */ -- b\n BEGIN isolation level serializable',
    'start transaction',
    'rollback work and chain;',
    'select 1; begin',
    'abort; begin',
  ])
    expect(does(sql), sql).toBe('begins')
  // They cannot be read, so they may do anything.
  for (const sql of ["select '; begin", "select '; COMMIT"]) expect(does(sql), sql).toBe('unknown')
  for (const sql of [
    'commit and chain',
    'END work AND CHAIN',
    'commit; begin read only;',
    'end; insert into t values (1); start transaction',
    'commit; rollback and chain',
  ])
    expect(does(sql), sql).toBe('commits-and-begins')
  for (const sql of [
    'commit',
    'end transaction',
    'commit and no chain',
    '-- x\n/* /* y */ */ commit work;',
    "prepare transaction 'x'",
    'begin; insert into t values (1); commit',
    'commit and chain; rollback',
    'rollback; insert into t values (1); begin; commit; select 1',
  ])
    expect(does(sql), sql).toBe('commits')
  for (const sql of ['/* x */ abort', 'rollback and no chain', 'select 1; rollback;', 'begin; rollback'])
    expect(does(sql), sql).toBe('rolls-back')
  for (const sql of [
    'rollback to savepoint a',
    'rollback to chain',
    "rollback prepared 'x'",
    "commit prepared 'x'",
    'prepare transaction as select 1',
    'select 1; select 2',
    'do $$ begin end $$',
    "select 'x; begin'; select $a$ ; begin $a$",
    'create function f() returns int begin atomic select 1; select 2; end',
    'select 1; create function f() returns int begin atomic select 1; end',
    'insert into t values (1)',
    'begins',
  ])
    expect(does(sql), sql).toBeUndefined()
})

test('what is within a statement is read once, however deep a text pretends to go', () => {
  const classifier = classifierWith()
  expect(classifier.classify(`${'declare c cursor for '.repeat(50_000)} select 1`)).toMatchObject({
    kind: 'session',
    countsAsWrite: true,
  })
})

test('several reads in one text are a read, each of them judged, and nothing else is', () => {
  const classifier = classifierWith({ primaryTables: ['account'] })
  for (const sql of [
    'select 1; select 2',
    'values (1);; table t;',
    '(select 1); (with x as (table t) select a from x); show all',
  ])
    expect(classifier.classify(sql), sql).toMatchObject({ kind: 'read', isAllOrNothing: false })
  expect(classifier.classify('select 1;;')).toMatchObject({ kind: 'read', isAllOrNothing: true })
  const kind = (sql: string) => classifier.classify(sql).kind
  expect(kind("select 1; select nextval('s')")).toBe('function')
  expect(kind('select log_access(1); select 2')).toBe('function')
  expect(kind("select pg_catalog.set_config('a', 'b', false); select 2")).toBe('session')
  expect(kind('select 1; select 2 from account')).toBe('primary-table')
  expect(kind('select 1; select 2 from over_view')).toBe('function')
  expect(kind('select 1 from t for update; select 2')).toBe('locking')
  for (const sql of [
    'select 1; begin',
    'select 1; commit; select 2',
    'select 1; select 2; insert into t values (1)',
    'select 1; select 2 into u; select 3',
    'select 1; set a = 1',
    'select (1; select 2)',
    "select 1; execute p; select ';'",
    'insert into t values (1); select 1',
    'explain insert into t values (1); select 1',
  ])
    expect(kind(sql), sql).toBe('write')
})

test('a copy to the client reads on the primary, and one to anywhere else, or from there, is a write', () => {
  for (const sql of [
    'copy t to stdout',
    'COPY binary public.t (a, "b") TO STDOUT with (format csv, header)',
    'copy (select a from t order by b) to stdout csv',
    'copy s.to to stdout',
    'copy "to" (nextval) to stdout',
  ])
    expect(classifierWith().classify(sql), sql).toMatchObject({
      kind: 'primary-table',
      countsAsWrite: false,
      isAllOrNothing: false,
    })
  expect(kindOf("copy (select nextval('s')) to stdout")).toBe('function')
  expect(kindOf('copy over_view to stdout')).toBe('function')
  for (const sql of [
    'copy t from stdin',
    "copy t to program 'cat'",
    "copy t to '/dev/null'",
    'copy (insert into t values (1) returning a) to stdout',
    'copy (select a into u from t) to stdout',
    'copy t to stdout; copy t from stdin',
    "copy t from 'x' where a = (1) to stdout",
  ])
    expect(kindOf(sql), sql).toBe('write')
})

test('a function that is named like a key word is called, and no target', () => {
  const classifier = classifierWith()
  const called = (sql: string) => readStatementText(sql, new WatchedNames()).calls.map(({ name }) => name)
  expect(called('delete from t where update(1) = -1')).toEqual(['update'])
  expect(called('update t set a = update(1)')).toEqual(['update'])
  expect(called('select update (1), "update"(2)')).toEqual(['update', 'update'])
  expect(classifier.classify('select update(1)').kind).toBe('function')
  expect(readStatementText('delete from update using u', new WatchedNames()).targets).toEqual([
    { table: 'update' },
  ])
  expect(readStatementText('insert into update (a) values (1)', new WatchedNames())).toMatchObject({
    targets: [{ table: 'update' }],
    calls: [],
  })
})

test('a reserved word without quotes is no name of a relation', () => {
  const classifier = classifierWith({ primaryTables: ['order', 'Group', 'LEFT', 'app.limit'] })
  const kind = (sql: string) => classifier.classify(sql).kind
  expect(kind('select a from t left join u on true group by a order by a limit 1')).toBe('read')
  expect(kind('select a from "order"')).toBe('primary-table')
  expect(kind('select a from "Group"')).toBe('primary-table')
  expect(kind('select a from app.limit')).toBe('primary-table')
})

describe('update and delete are names where no change of a table can begin', () => {
  test.each([
    'select a update from t',
    'select delete from t',
    'select a delete from t where b',
    'select (t).update from t',
    'select coalesce(update), (update) from t',
    'select t.id from t update join u on update.id = u.id',
    'select a from t order by update, a limit 1',
    'select extract(update from a), trim(delete from b) from t',
    'with update as (select 1 as y), delete as (select y from update) select y from delete',
    'values (update), (1)',
    'table update',
  ])('%s', (sql) => {
    expect(kindOf(sql)).toBe('read')
  })

  test.each([
    'with x as (select a update from t) update t set a = 1',
    'with x as (select delete from t) delete from t',
    'with recursive x as (select 1) search depth first by n set o update t set a = 1',
    "with recursive x as (select 1) cycle n set c to numeric(2, 1) '1.0' default numeric '2' using p delete from t",
    'with x as (select 1), y as (update only t set a = 1 returning a) select a update from y',
    'with update as (select 1) update "update" set a = 1',
    'with x as (select a from (select 1) update) update update set a = 1',
    'select 1; update t set a = 1',
    'select 1; delete from t',
    'explain analyze (update t set a = 1)',
    'explain (analyze) delete from t',
  ])('and begin one: %s', (sql) => {
    expect(kindOf(sql)).toBe('write')
  })
})
