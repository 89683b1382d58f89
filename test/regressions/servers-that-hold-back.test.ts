import { type Kysely, sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { useNode, usePrimary } from 'write-pinning'
import type { Database } from '../support/cluster.ts'
import { openingPools } from '../support/pools.ts'
import { rolesOf } from '../support/read-only.ts'
import {
  countsAsWrite,
  inRequest,
  openRequest,
  whenCatalogIsRead,
  whereAndWhyInRequest,
} from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// What is asked beside a statement, or waited for, must never be what fails it, moves it, or makes it a write.
const shop = useShop({
  sql: `
    create table log (x int);
    create unlogged table counter (id int);
    create function harmless(x int) returns int language sql as 'select x';
    create function writes(x int) returns int language plpgsql as $$ begin insert into log values (x); return x; end $$;
    create function runs_text(x int) returns int language plpgsql stable as
      $$ begin begin execute 'select wri' || 'tes(1)'; exception when others then return -1; end; return x; end $$;
    create function makes_view() returns int language plpgsql as
      $$ begin execute 'create or replace view seen as select writes(1) as x'; return 1; end $$;
    create view seen as select 1 as x;
    create view of_primary as select pg_current_wal_lsn() as lsn;
    create role plain login;
    grant all on all tables in schema public to plain;
    grant all on schema public to plain;
    create role hardened login;
    grant all on all tables in schema public to hardened;
    revoke execute on function pg_current_xact_id_if_assigned() from public;
    grant execute on function pg_current_xact_id_if_assigned() to plain`,
})
const { cluster, open } = shop
const openPool = openingPools(shop)
let db: Kysely<Database>

const asRole = (role: string) => {
  const at = ({ connectionString }: { connectionString: string }) => {
    const url = new URL(connectionString)
    url.username = role
    return { connectionString: url.toString() }
  }
  return open({ primary: at(cluster.primary), replicas: cluster.replicas.map(at) })
}

beforeAll(async () => {
  db = asRole('plain')
  await inRequest(() => whenCatalogIsRead(db))
})

const run = (text: string, on = db) => sql.raw<Record<string, unknown>>(text).execute(on)

describe('a role that may not ask whether its transaction has written', () => {
  test('runs what is in doubt all the same, and that counts', async () => {
    const hardened = asRole('hardened')
    await inRequest(() => whenCatalogIsRead(hardened))
    expect(await countsAsWrite(hardened, 'select harmless(1)')).toBe(true)
    expect(await countsAsWrite(db, 'select harmless(1)')).toBe(false)
  })

  test('commits its transactions', async () => {
    const hardened = asRole('hardened')
    const request = openRequest()
    await request.run(() => hardened.transaction().execute((trx) => run('select id from item', trx)))
    expect(request.memory.wroteTo).toBeUndefined()
    await request.run(() => hardened.transaction().execute((trx) => run('select writes(1)', trx)))
    expect(request.memory.wroteTo).toBeDefined()
  })
})

describe('in useNode()', () => {
  test('a read-only transaction hears what its node says', async () => {
    const transaction = () =>
      db
        .transaction()
        .setAccessMode('read only')
        .execute((trx) => run('select * from counter', trx))
    await expect(inRequest(() => useNode('replica-1', transaction))).rejects.toMatchObject({ code: '0A000' })
  })

  test('what the replica refuses of the session is no write from then on', async () => {
    const listen = () => db.connection().execute((on) => run('listen news', on))
    await inRequest(() => useNode('replica-1', listen)).catch(() => {})
    const request = openRequest()
    await request.run(listen)
    expect(request.memory.wroteTo).toBeUndefined()
  })
})

test('a comment before the end of a read-only transaction keeps its session', async () => {
  const pool = await openPool({ max: 1 })
  const pids = new Set<unknown>()
  for (let at = 0; at < 3; at++) {
    await inRequest(async () => {
      const client = await pool.connect()
      await client.query('/* who */ begin read only')
      const { rows } = await client.query('select pg_backend_pid() as pid, pg_is_in_recovery() as it')
      expect(rows[0].it).toBe(true)
      pids.add(rows[0].pid)
      await client.query('-- done\ncommit')
      client.release()
    })
  }
  expect(pids.size).toBe(1)
})

test('a copy follows in a read-only transaction on a replica', async () => {
  const transaction = () =>
    db
      .transaction()
      .setAccessMode('read only')
      .execute(async (trx) => {
        await run('select id from item', trx)
        // A client without streams hears no more than that it was accepted.
        await run('copy (select id from item where id < 0) to stdout', trx)
      })
  expect(await rolesOf(() => inRequest(transaction))).toEqual(['replica', 'replica'])
})

test('a view over one of PostgreSQL’s own functions of the primary pins nobody', async () => {
  expect(await whereAndWhyInRequest(() => run('select lsn is not null from of_primary'))).toEqual([
    'primary: function',
  ])
  expect(await countsAsWrite(db, 'select lsn is not null from of_primary')).toBe(false)
})

test('a stable function that runs a text is asked about on the primary', async () => {
  const request = openRequest()
  await request.run(() => usePrimary(() => run('select runs_text(1)')))
  expect(request.memory.wroteTo).toBeDefined()
})

test('what a called function has replaced is looked at', async () => {
  await inRequest(() => run('select makes_view()', shop.db))
  await cluster.waitForCatchup()
  await expect
    .poll(() => whereAndWhyInRequest(() => run('select x from seen', shop.db)))
    .toEqual(['primary: function'])
})

test('a lock that an attribute takes is refused later in a read-only transaction on a replica', async () => {
  const transaction = () =>
    db
      .transaction()
      .setAccessMode('read only')
      .execute(async (trx) => {
        await run('select id from item', trx)
        await run('select length(((2)::bigint).pg_advisory_lock::text)', trx)
      })
  await expect(inRequest(transaction)).rejects.toMatchObject({
    code: 'ERR_WRITE_PINNING_ONLY_ON_PRIMARY',
  })
})
