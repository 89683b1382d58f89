import { filled, type Parts, type Place, place } from './place.ts'

const harmful = { isHarmful: true } as const

/** Statements that write; some of them no row, and then it is what they call that counts. */
export const WRITES: readonly Place[] = [
  place('write: insert values', 'insert into :log (what) values ((:x)::text)', harmful),
  place('write: insert query', 'insert into :log (what) select (:e)::text from :r', harmful),
  place(
    'write: insert of no row',
    'insert into :log (what) select (:e)::text from :r where id < 0 and :x < -1000',
    harmful,
  ),
  place('write: insert returning', "insert into :log (what) values ('x') returning :x", harmful),
  place(
    'write: insert on conflict',
    'insert into :t values (1, :x) on conflict (id) do update set a = excluded.a',
    harmful,
  ),
  place('write: insert do nothing', 'insert into :t values (1, :x) on conflict do nothing', harmful),
  place('write: insert into relation', 'insert into :r (id, a) values (50, :x)', harmful),
  place('write: update', 'update :r set a = :e where id = 1', harmful),
  place('write: update of no row', 'update :r set a = 5 where id < 0', harmful),
  place('write: update where', 'update :t set a = 5 where :e = -12345', harmful),
  place('write: update from', 'update :t set a = r.a from :r r where r.id = :t.id and r.a = -12345', harmful),
  place('write: update returning', 'update :r set a = 0 where id = 2 returning :e', harmful),
  place('write: delete', 'delete from :log where id = :x', harmful),
  place('write: delete of no row', 'delete from :r where :e = -12345', harmful),
  place(
    'write: delete using',
    'delete from :t using (select :e as y from :r) r where r.y = :t.id and r.y < -1000',
    harmful,
  ),
  place(
    'write: delete where exists',
    'delete from :t where exists (select 1 from :r where :e < -1000)',
    harmful,
  ),
  place(
    'write: merge of no row',
    'merge into :t using (select :e as y from :r) r on r.y = :t.id and r.y < -1000 when matched then delete',
    harmful,
  ),
  place(
    'write: merge',
    'merge into :t using (select 1 as y) r on r.y = :t.id when matched then update set a = :x',
    harmful,
  ),
  place(
    'write: with insert',
    "with c as (insert into :log (what) values ('c') returning 1) select :e from :r order by id",
    harmful,
  ),
  place(
    'write: with delete of no row',
    'with c as (delete from :t where id < 0 returning 1) select :x as y',
    harmful,
  ),
  place('write: do', 'do $do$begin perform :x; end$do$', harmful),
  place('write: select, then insert', "select :x; insert into :log (what) values ('m')", harmful),
  place('write: refresh', 'refresh materialized view :r', harmful),
  place('write: analyze', 'select 1 from :t where :x < -1000 for update', harmful),
  place('write: lock table', 'select :x as y; lock table :t in share mode', harmful),
  place('write: prepared by name', "insert into :log (what) values ('n')", harmful),
  {
    ...{ name: 'write: parameter', isHarmful: true },
    make: (parts) => [
      { text: filled('update :t set a = $1 where id = $2 and :x > -1000', parts), values: [3, 99] },
    ],
  },
]

/** What is made or replaced just before it is used. */
export const YOUNG: readonly Place[] = [
  steps(
    'new view',
    ['create view young as select :e as y from :r', 'select y from young order by y', 'drop view young'],
    harmful,
  ),
  steps(
    'new function',
    [
      'create function young(p int) returns int language sql stable as $y$select :x$y$',
      'select young(1) as y',
      'drop function young',
    ],
    harmful,
  ),
  steps(
    'replaced view',
    [
      'create view young as select id as y from :t',
      'select y from young order by 1',
      'create or replace view young as select :e as y from :r',
      'select y from young order by y',
      'drop view young',
    ],
    harmful,
  ),
  steps(
    'replaced function',
    [
      'create function young(p int) returns int language sql stable return 1',
      'select young(2) as y',
      'create or replace function young(p int) returns int language sql stable return :x',
      'select young(3) as y',
      'drop function young',
    ],
    harmful,
  ),
  steps(
    'new overload',
    [
      'create function young(p int) returns int language sql stable return 1',
      'select young(2) as y',
      'create function young(p text) returns int language sql stable return :x',
      "select young('3'::text) as y",
      'drop function young(int), young(text)',
    ],
    harmful,
  ),
]

const connection = { isHarmful: true, needs: 'connection' } as const
const transaction = { isHarmful: true, needs: 'transaction' } as const

/** What takes several statements on one session. */
export const SESSIONS: readonly Place[] = [
  steps(
    'prepare and execute',
    ['prepare p as select :e as y from :r order by id', 'execute p', 'deallocate p'],
    connection,
  ),
  steps(
    'argument of execute',
    ['prepare p(int) as select $1 as y', 'execute p(:x)', 'deallocate p'],
    connection,
  ),
  steps('prepare without execute', ['prepare p as select :e as y from :r', 'deallocate all'], connection),
  steps(
    'explain execute',
    ['prepare p as select :x as y', 'explain (costs off) execute p', 'deallocate p'],
    connection,
  ),
  steps(
    'explain analyze execute',
    [
      'prepare p as select :x as y',
      'explain (analyze, costs off, timing off, summary off, buffers off) execute p',
      'deallocate p',
    ],
    connection,
  ),
  steps(
    'cursor',
    ['declare c cursor for select :e as y from :r', 'fetch 1 from c', 'fetch all from c', 'close c'],
    transaction,
  ),
  steps('cursor, unread', ['declare c cursor for select :e as y from :r', 'close c'], transaction),
  steps(
    'cursor with hold',
    ['declare c cursor with hold for select :e as y from :r', 'fetch 1 from c'],
    transaction,
  ),
  steps(
    'move',
    ['declare c scroll cursor for select :e as y from :r', 'move all in c', 'fetch first from c'],
    transaction,
  ),
  steps(
    'savepoint',
    ['savepoint s', 'select :e as y from :r order by id', 'rollback to s', 'select :h from :r order by id'],
    transaction,
  ),
  steps(
    'savepoint released',
    ['savepoint s', 'select :x as y', 'release s', 'select id from :r order by id'],
    transaction,
  ),
  steps(
    'temporary table',
    ['create temp table tmp (y int) on commit drop', 'select count(*) from tmp', 'select :x as z'],
    transaction,
  ),
  steps(
    'temporary table, filled',
    ['create temp table tmp on commit drop as select :e as y from :r', 'select count(*) from tmp'],
    transaction,
  ),
  steps(
    'set local',
    ["set local work_mem = '6MB'", "select current_setting('work_mem')", 'select :x as y'],
    transaction,
  ),
  steps(
    'set',
    ["set work_mem = '6MB'", "select current_setting('work_mem')", 'select :x as y', 'reset work_mem'],
    connection,
  ),
  steps('lock table', ['lock table :t in share mode', 'select :e as y from :r order by id'], transaction),
  steps('listen', ['listen channel', 'select :x as y', 'unlisten *'], connection),
  steps('notify', ['select :x as y', "notify channel, 'x'"], transaction),
  steps('set constraints', ['set constraints all deferred', 'select :x as y'], transaction),
  steps('select into', ['select :x as y into made', 'table made', 'drop table made'], transaction),
  {
    ...steps('copy to stdout', ['copy (select :e as y from :r order by id) to stdout'], connection),
    make: copied,
  },
]

function steps(name: string, texts: readonly string[], others: Omit<Place, 'name' | 'make'>): Place {
  return { name, make: (parts) => texts.map((text) => ({ text: filled(text, parts) })), ...others }
}

function copied(parts: Parts) {
  const text = parts.random.pick(['copy (select :e as y from :r order by id) to stdout', 'copy :t to stdout'])
  return [{ text: filled(text, parts), via: 'copy' as const }]
}
