import { once } from 'node:events'
import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, openDatabase } from '../support/cluster.ts'
import { countsAsWrite, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { messagesOf } from '../support/warnings.ts'

// A catalog is read in pages; what is not read yet, or cannot be read, is told, and nothing waits for it.
const { cluster } = useShop({
  sql: `
    create sequence counter;
    create role limited login;
    grant all on item, session, counter to limited;
    create function declared() returns int language sql stable as $$ select 1 $$;
    create function writes() returns bigint language sql as $$ select nextval('counter') $$`,
})

const routesOn = (db: Kysely<Database>, text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))

describe('of more objects than a page holds', () => {
  beforeAll(async () => {
    await cluster.primary.query(`
      do $$ begin
        for n in 1..2000 loop
          execute format('create function f_%s() returns int language sql as ''select 1''', n);
        end loop;
        for n in 1..250 loop
          execute format('create function body_%s() returns int language sql stable as ''select f_%s()''', n, n);
        end loop;
        for n in 1..1200 loop execute format('create view v_%s as select * from item', n); end loop;
        for n in 1..2200 loop execute format('create table t_%s ()', n); end loop;
      end $$;
      create function last_body() returns bigint language sql stable as $$ select writes() $$;
      create view last_view as select nextval('counter') as n;
      create view last_locking as select * from item for update;
      create table last_plain (id int);
      create table last_hiding (id int);
      create function hides() returns trigger language plpgsql as $$ begin return null; end $$;
      create trigger hides before delete on last_hiding for each row execute function hides()`)
    await cluster.waitForCatchup()
  })

  test('each is known', async () => {
    const db = openDatabase(cluster)
    await whenCatalogIsRead(db)
    for (const text of [
      'select f_1()',
      'select f_2000()',
      'select body_1()',
      'select body_250()',
      'select last_body()',
    ])
      expect(await routesOn(db, text), text).toEqual(['primary: function'])
    for (const text of ['select * from last_view', 'select * from last_locking'])
      expect(await routesOn(db, text), text).toEqual(['primary: function'])
    for (const text of ['select * from v_1', 'select * from v_1200', 'select declared()'])
      expect(await routesOn(db, text), text).toEqual(['replica: read'])
    expect(await countsAsWrite(db, 'update last_plain set id = 1')).toBe(false)
    expect(await countsAsWrite(db, 'delete from last_hiding')).toBe(true)
    await db.destroy()
  })
})

/** Keeps everybody from reading the policies, and with them the relations, of a catalog until what it gives is called. */
async function lockPolicies(): Promise<() => Promise<void>> {
  const client = new pg.Client({ connectionString: cluster.primary.connectionString })
  await client.connect()
  await client.query('begin; lock table pg_policy in access exclusive mode')
  await cluster.waitForCatchup()
  return () => client.end()
}

test('a function is known as soon as the functions are read, however long the relations take', async () => {
  const unlock = await lockPolicies()
  const db = openDatabase(cluster)
  try {
    expect(await routesOn(db, 'select declared()')).toEqual(['replica: read'])
    expect(await routesOn(db, 'select writes()')).toEqual(['primary: function'])
    expect(await countsAsWrite(db, 'delete from public.item where id = -1')).toBe(true)
  } finally {
    await unlock()
  }
  await whenCatalogIsRead(db)
  await db.destroy()
})

test.each([
  ['functions', 'pg_proc', 'primary: function'],
  ['relations', 'pg_policy', 'replica: read'],
])('that its %s cannot be read is told once, and once more when they can be', async (_what, table, route) => {
  const url = (node: PostgresNode) => node.connectionString.replace('postgres@', 'limited@')
  const grant = async (how: string) => {
    await cluster.primary.query(`${how} public`)
    await cluster.waitForCatchup()
  }
  await grant(`revoke select on ${table} from`)
  const timers = vi.spyOn(globalThis, 'setTimeout')
  const db = openDatabase(cluster, { primary: url(cluster.primary), replicas: cluster.replicas.map(url) })
  const triesAgain = () =>
    vi.waitFor(() => {
      const found = timers.mock.calls.findLast(([, ms = 0]) => ms > 10_000)
      if (found === undefined) throw new Error('Nobody will read it again.')
      timers.mockClear()
      return () => {
        // Its rest is over.
        const now = vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 400_000)
        ;(found[0] as () => void)()
        now.mockRestore()
      }
    }, 10_000)
  try {
    let again = () => {}
    const first = await messagesOf(async () => {
      expect(await routesOn(db, 'select count(*) from item')).toEqual(['replica: read'])
      again = await triesAgain()
    })
    expect(first).toEqual([expect.stringMatching(/42501.*every update, delete and merge counts as a write/)])
    expect(await routesOn(db, 'select declared()')).toEqual([route])
    const second = await messagesOf(async () => {
      again()
      again = await triesAgain()
    })
    expect(second).toEqual([])
    await grant(`grant select on ${table} to`)
    const third = await messagesOf(async () => {
      const told = once(process, 'warning')
      again()
      await Promise.all([whenCatalogIsRead(db), told])
    })
    expect(third).toEqual([expect.stringContaining('was read')])
    expect(await routesOn(db, 'select declared()')).toEqual(['replica: read'])
  } finally {
    timers.mockRestore()
    await grant(`grant select on ${table} to`)
    await db.destroy()
  }
})
