import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import type { PoolLike } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { CatalogLooks } from '../support/catalog-looks.ts'
import type { Database } from '../support/cluster.ts'
import { askedBy } from '../support/own-questions.ts'
import { countsAsWrite, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Another process changes the schema. The catalog is looked at regularly, and read again where it has changed: here a look is made due
// instead of waiting for its minute.
const { cluster, open } = useShop({
  sql: `
    create table log (what text);
    create table t (id int primary key, a int);
    create table ruled (id int primary key, a int);
    create table guarded (id int primary key, a int);
    alter table guarded enable row level security;
    create function writes(x int) returns int language plpgsql as
      $$ begin insert into log values ('written'); return x; end $$;
    create function hides() returns trigger language plpgsql as $$ begin return null; end $$;
    create function declared(x int) returns int language sql stable as 'select x';
    create view shown as select id from t;
    create view over_shown as select * from shown;
    create function by_view() returns bigint language sql stable as 'select count(*) from shown';
    create domain checked as int`,
})

/** A pool that counts what is asked of the catalog. */
function countingPool(node: PostgresNode) {
  const counts = { questions: 0, looks: 0, judged: [] as number[] }
  class Counting extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: it is overloaded.
    override async query(...args: any[]): Promise<any> {
      const { text, values } = askedBy(args)
      if (text.includes('hashint8')) counts.looks++
      if (text.includes('r.ev_action::text')) counts.judged.push((values as unknown[][])[0]?.length ?? 0)
      // A watcher's question has the last of these in it.
      if (text.includes('pg_catalog.pg_') && !/hashint8|isInRecovery/.test(text)) counts.questions++
      // biome-ignore lint/suspicious/noExplicitAny: as above.
      return await (super.query as any)(...args)
    }
  }
  const pool = new pg.Pool({ connectionString: node.connectionString })
  return { counts, pool: Object.assign(pool, { Client: Counting }) as unknown as PoolLike }
}

let looks: CatalogLooks
let db: Kysely<Database>
let counts: ReturnType<typeof countingPool>['counts']

beforeEach(async () => {
  looks = new CatalogLooks()
  const primary = countingPool(cluster.primary)
  counts = primary.counts
  db = open({ primary: primary.pool })
  await whenCatalogIsRead(db)
})

afterEach(() => looks[Symbol.dispose]())

const routesOf = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))
const PRIMARY = ['primary: function']
const REPLICA = ['replica: read']
const WAIT = { timeout: 20_000, interval: 20 }

/** Has another process run this, and a look be due. */
async function change(text: string): Promise<void> {
  await cluster.primary.query(text)
  await cluster.waitForCatchup()
  await looks.makeDue()
}

const routesUntil = (text: string, routes: readonly string[]) =>
  vi.waitFor(async () => expect(await routesOf(text)).toEqual(routes), WAIT)

describe('what another process does to a relation or a function is known after the next look:', () => {
  test.each([
    [
      'a view that writes now',
      'select * from shown',
      'create or replace view shown as select writes(id) as id from t',
      'create or replace view shown as select id from t',
    ],
    [
      'a view over that',
      'select * from over_shown',
      'create or replace view shown as select writes(id) as id from t',
      'create or replace view shown as select id from t',
    ],
    [
      'a function that reads it',
      'select by_view()',
      'create or replace view shown as select writes(id) as id from t',
      'create or replace view shown as select id from t',
    ],
    [
      'a view that is another one of that name',
      'select * from shown',
      'alter view shown rename to old_shown; create view shown as select writes(id) as id from t',
      'drop view shown; alter view old_shown rename to shown',
    ],
    [
      'a function that writes now',
      'select declared(1)',
      'create or replace function declared(x int) returns int language plpgsql volatile as $$ begin return writes(x); end $$',
      "create or replace function declared(x int) returns int language sql stable as 'select x'",
    ],
    [
      'a function whose body calls another by now',
      'select declared(1)',
      "create or replace function declared(x int) returns int language sql stable as 'select writes(x)'",
      "create or replace function declared(x int) returns int language sql stable as 'select x'",
    ],
    [
      'a function with another one of that name',
      'select declared(1)',
      'create function declared(x text) returns int language plpgsql as $$ begin return writes(1); end $$',
      'drop function declared(text)',
    ],
    [
      'a table with a policy',
      'select * from guarded',
      'create policy p on guarded using (writes(id) > 0)',
      'drop policy p on guarded',
    ],
    [
      'a domain with a check',
      "select '1'::checked",
      'alter domain checked add constraint c check (writes(value) > 0)',
      'alter domain checked drop constraint c',
    ],
  ])('%s', async (_what, text, worse, better) => {
    expect(await routesOf(text)).toEqual(REPLICA)
    await change(worse)
    await routesUntil(text, PRIMARY)
    await change(better)
    await routesUntil(text, REPLICA)
  })

  test.each([
    [
      'a trigger',
      'create trigger hides before delete on t for each row execute function hides()',
      'drop trigger hides on t',
    ],
    ['a rule', "create rule r as on delete to ruled do also insert into log values ('ruled')", undefined],
    [
      'a child with a trigger',
      'create table child () inherits (t); create trigger hides before delete on child for each row execute function hides()',
      'drop table child',
    ],
  ])('%s', async (_what, worse, better) => {
    const table = better === undefined ? 'ruled' : 't'
    const pins = (isPinned: boolean) =>
      vi.waitFor(async () => {
        expect(await countsAsWrite(db, `delete from ${table} where id = -1`)).toBe(isPinned)
      }, WAIT)
    await pins(false)
    await change(worse)
    await pins(true)
    // A table that had a rule says so until it is vacuumed.
    if (better === undefined) return
    await change(better)
    await pins(false)
  })
})

/** Waits until the look is over that was made due. */
const looked = (before: number) => vi.waitFor(() => expect(counts.looks).toBe(before + 2), WAIT)

test('a look reads nothing where nothing has changed, or what has is temporary, or no more than rows', async () => {
  await vi.waitFor(async () => {
    const { looks: before, questions } = counts
    await looks.makeDue()
    await looked(before)
    expect(counts.questions).toBe(questions)
  }, WAIT)
  const { looks: before, questions } = counts
  await change(`
    create temporary table passing (id int);
    create temporary view passing_view as select * from passing;
    insert into t values (1, 1);
    analyze t;
    truncate t, log`)
  await looked(before)
  expect(counts.questions).toBe(questions)
})

test('of a catalog in which one view has changed no other is read again', async () => {
  await change('create or replace view shown as select id from t where id > 0')
  await vi.waitFor(() => expect(counts.judged.at(-1)).toBe(1), WAIT)
})

test('a planned look does not keep the process alive', async () => {
  await vi.waitFor(() => expect(looks.planned).not.toEqual([]), WAIT)
  for (const timer of looks.planned) expect(timer.hasRef()).toBe(false)
})

test('a look at a frozen primary ends with the database', async () => {
  await vi.waitFor(() => expect(looks.planned).not.toEqual([]), WAIT)
  await cluster.primary.freeze()
  try {
    await looks.makeDue()
    const startedMs = performance.now()
    await db.destroy()
    expect(performance.now() - startedMs).toBeLessThan(2_000)
  } finally {
    await cluster.primary.thaw()
  }
})
