import { type Kysely, sql } from 'kysely'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { type Database, openDatabase } from '../support/cluster.ts'
import { postgresVersion } from '../support/postgres-version.ts'
import { countsAsWrite, whenCatalogIsRead } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// That a statement reports no row means that it wrote none only where its table is an ordinary one, as far as the catalog says.
const { cluster, db } = useShop()

beforeAll(async () => {
  const { host, port } = cluster.primary
  const dbname = new URL(cluster.primary.connectionString).pathname.slice(1)
  await cluster.primary.query(`
    create extension postgres_fdw;
    create table audit (what text);
    create function note() returns trigger language plpgsql as
      $$ begin insert into audit values (tg_table_name); return null; end $$;
    create function see() returns int language sql as $$ insert into audit values ('seen') returning 1 $$;

    create table plain (id int primary key, name text);
    create table parent (id int primary key);
    create table referring (id int references parent on delete cascade);
    create table after_rows (id int primary key, name text);
    create trigger note after insert or update or delete on after_rows for each row execute function note();
    create table truncated (id int primary key, name text);
    create trigger note before truncate on truncated for each statement execute function note();
    create table plain_parted (id int primary key, name text) partition by range (id);
    create table plain_part partition of plain_parted for values from (0) to (10);

    create table soft (id int primary key, name text);
    create trigger soft before delete on soft for each row execute function note();
    create table counted (id int primary key, name text);
    create trigger counted after update on counted for each statement execute function note();
    create table ruled (id int primary key, name text);
    create rule soft as on delete to ruled do instead insert into audit values ('ruled');
    create view shown as select * from plain;
    create trigger shown instead of delete on shown for each row execute function note();
    create view simple as select * from counted;
    create table parted (id int, name text) partition by range (id);
    create table part partition of parted for values from (0) to (10);
    create trigger part before delete on part for each row execute function note();
    create table ancestor (id int, name text);
    create table child () inherits (ancestor);
    create table grandchild () inherits (child);
    create trigger grandchild before update or delete on grandchild for each row execute function note();
    create table cloned (id int, name text) partition by range (id);
    create table cloned_part partition of cloned for values from (0) to (10);
    create trigger cloned before delete on cloned for each row execute function note();
    create table guarded (id int, name text);
    alter table guarded enable row level security;
    create policy guarded on guarded for delete using (see() = 1);

    create server loopback foreign data wrapper postgres_fdw options (host '${host}', port '${port}', dbname '${dbname}');
    create user mapping for public server loopback options (user 'postgres');
    create foreign table far (id int, name text) server loopback options (table_name 'soft');
    create table near (id int, name text) partition by range (id);
    create foreign table near_far partition of near for values from (0) to (10) server loopback options (table_name 'soft');

    create schema other;
    create table other.twofold (id int, name text);
    create table twofold (id int, name text);
    create trigger twofold before delete on other.twofold for each row execute function note();
    create schema twin;
    create table twin.plain (id int, name text)`)
  await cluster.waitForCatchup()
  await whenCatalogIsRead(db)
})

afterEach(() => cluster.primary.query('truncate audit'))

const pins = countsAsWrite

/** Waits until the catalog says so: it is read in the background. */
function pinsUntil(on: Kysely<Database>, text: string, isPinned: boolean): Promise<void> {
  return vi.waitFor(async () => expect(await pins(on, text)).toBe(isPinned), { timeout: 25_000 })
}

describe('what reports no row is no write to', () => {
  test.each([
    ['an ordinary table', 'plain'],
    ['one that is named with its schema', 'public.plain'],
    ['one of that name in another schema', 'twin.plain'],
    ['a table that others refer to', 'parent'],
    ['a table with triggers for each row, after it', 'after_rows'],
    ['a table with triggers for truncate only', 'truncated'],
    ['a partitioned table', 'plain_parted'],
    ['a partition', 'plain_part'],
    [
      'a table that shares its name with one that is none of these, where it is named with its schema',
      'public.twofold',
    ],
  ])('%s', async (_what, table) => {
    expect(await pins(db, `delete from ${table} where id = -1`)).toBe(false)
    expect(await pins(db, `update ${table} set id = 1 where id = -1`)).toBe(false)
  })
})

describe('what reports no row pins all the same on', () => {
  test.each([
    ['a table whose trigger hides the row', 'delete from soft where id = -1'],
    ['a table whose trigger runs once for a statement', 'update counted set id = 1 where id = -1'],
    ['a table with a rule', 'delete from ruled where id = -1'],
    ['a view with a trigger', 'delete from shown where id = -1'],
    ['a view over a table', 'update simple set id = 1 where id = -1'],
    ['a partitioned table, one of whose partitions hides rows', 'delete from parted where id = -1'],
    ['that partition', 'delete from part where id = -1'],
    ['the ancestor of a table that hides rows', 'delete from ancestor where id = -1'],
    ['its child', 'update child set id = 1 where id = -1'],
    ['a partition that has its trigger from its parent', 'delete from cloned_part where id = -1'],
    ['a table whose policy calls a function that writes', 'delete from guarded where id = -1'],
    ['a foreign table', 'delete from far where id = -1'],
    ['what has a foreign table as a part', 'delete from near where id = -1'],
    ['a table that shares its name with one that hides rows', 'delete from twofold where id = -1'],
    ...(postgresVersion >= 15
      ? [
          [
            'a merge into a table whose trigger hides the row',
            'merge into soft using plain on soft.id = plain.id when matched then delete',
          ],
        ]
      : []),
    [
      'an ordinary table, where the condition calls a function that writes',
      'delete from plain where id in (select see())',
    ],
  ])('%s', async (_what, text) => {
    expect(await pins(db, text)).toBe(true)
  })

  test('a table that was made after the catalog was read', async () => {
    await cluster.primary.query('create table made_later (id int)')
    expect(await pins(db, 'delete from made_later where id = -1')).toBe(true)
  })

  test('any table, as long as the catalog was not read', async () => {
    const fresh = openDatabase(cluster, { primary: { connectionString: cluster.primary.connectionString } })
    expect(await pins(fresh, 'delete from plain where id = -1')).toBe(true)
    await pinsUntil(fresh, 'delete from plain where id = -1', false)
    await fresh.destroy()
  })

  test('a table that this process makes, until the catalog is read again', async () => {
    const own = openDatabase(cluster)
    await whenCatalogIsRead(own)
    await sql`create table made_here (id int)`.execute(own)
    expect(await pins(own, 'delete from made_here where id = -1')).toBe(true)
    expect(await pins(own, 'delete from plain where id = -1')).toBe(false)
    await pinsUntil(own, 'delete from made_here where id = -1', false)
    await own.destroy()
  })

  test('a table that this process gives a trigger, also in a transaction', async () => {
    const own = openDatabase(cluster)
    const remove = 'delete from truncated where id = -1'
    await pinsUntil(own, remove, false)
    await own.transaction().execute(async (trx) => {
      await sql`create trigger hides before delete on truncated for each row execute function note()`.execute(
        trx,
      )
      expect(await pins(own, 'delete from plain where id = -1')).toBe(true)
    })
    expect(await pins(own, remove)).toBe(true)
    // The catalog is read again by then: another table is known to be plain, this one not.
    await pinsUntil(own, 'delete from plain where id = -1', false)
    expect(await pins(own, remove)).toBe(true)
    await cluster.primary.query('drop trigger hides on truncated')
    await own.destroy()
  })

  test('a table that this process gives a trigger in a transaction that is begun by a text', async () => {
    const own = openDatabase(cluster)
    const remove = 'delete from truncated where id = -1'
    await pinsUntil(own, remove, false)
    await own.connection().execute(async (on) => {
      await sql`begin`.execute(on)
      await sql`create trigger hides before delete on truncated for each row execute function note()`.execute(
        on,
      )
      // The catalog is read again before the commit.
      await pinsUntil(own, 'delete from plain where id = -1', false)
      await sql`commit`.execute(on)
    })
    expect(await pins(own, remove)).toBe(true)
    await cluster.primary.query('drop trigger hides on truncated')
    await own.destroy()
  })
})
