import { sql } from 'kysely'
import pg from 'pg'
import { beforeEach, expect, test, vi } from 'vitest'
import { useReplica } from 'write-pinning'
import type { PoolLike } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { askedBy } from '../support/own-questions.ts'
import { countsAsWrite, openRequest, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// The catalog is read from a replica where the primary does not let it be read: what a late one says is out of date already.
const { cluster } = useShop({ isOfEachTest: true })
let primary: PostgresNode
let replica: PostgresNode

beforeEach(async () => {
  primary = cluster.primary
  ;[replica] = cluster.replicas as [PostgresNode]
})

const WAIT = { timeout: 20_000, interval: 10 }

/** A pool that counts how often its node is asked for the catalog; where `isSlow`, the server does not answer in time. */
function countingPool(node: PostgresNode, application?: string) {
  const counts = { readings: 0, isSlow: false }
  class Counting extends pg.Client {
    // biome-ignore lint/suspicious/noExplicitAny: it is overloaded.
    override async query(...args: any[]): Promise<any> {
      const { text, values } = askedBy(args)
      if (text.includes('from pg_catalog.pg_proc p where p.oid > $1') && values?.[0] === '0') {
        counts.readings++
        if (counts.isSlow) throw new Error('Query read timeout')
      }
      // biome-ignore lint/suspicious/noExplicitAny: as above.
      return await (super.query as any)(...args)
    }
  }
  const { connectionString } = node
  const pool = new pg.Pool({
    connectionString: application ? connectionString.replace('/test', `/${application}`) : connectionString,
  })
  return { counts, pool: Object.assign(pool, { Client: Counting }) as unknown as PoolLike }
}

test('the catalog of a late replica vouches for no table, and is read from the primary once that is back', async () => {
  await primary.query(`
    insert into item (name) values ('one'), ('two');
    create function declared() returns int language sql stable as $$ select 1 $$`)
  await cluster.waitForCatchup()
  await replica.pauseReplay()
  await primary.query(`
    alter table item add column deleted boolean default false;
    create function hide() returns trigger language plpgsql as
      $$ begin update item set deleted = true where id = old.id; return null; end $$;
    create trigger hide before delete on item for each row execute function hide();
    create or replace function declared() returns int language sql volatile as $$ select 1 $$`)
  await primary.stop('fast')
  const late = countingPool(replica)
  await using watched = await Watched.open(cluster, { replicas: [late.pool] }, { counts: false })
  const { db } = watched
  await useReplica(() => db.selectFrom('item').select('id').execute())
  expect(await whereAndWhyInRequest(() => sql`select declared()`.execute(db))).toEqual(['replica: read'])
  await primary.start()
  await replica.resumeReplay()
  await cluster.waitForCatchup()
  const hide = async (id: number) => {
    const request = openRequest()
    const { numDeletedRows } = await request.run(() =>
      db.deleteFrom('item').where('id', '=', id).executeTakeFirstOrThrow(),
    )
    expect(numDeletedRows).toBe(0n)
    expect(request.memory.wroteTo).toEqual(new Set(['default']))
  }
  await hide(1)
  await vi.waitFor(async () => {
    expect(await countsAsWrite(db, "delete from session where sid = 'none'")).toBe(false)
  }, WAIT)
  await hide(2)
  expect(await whereAndWhyInRequest(() => sql`select declared()`.execute(db))).toEqual(['primary: function'])
  // It was not read again and again meanwhile.
  expect(late.counts.readings).toBe(1)
})

test('a primary that was too slow for its catalog is asked for it again, less and less often', async () => {
  const slow = countingPool(primary)
  slow.counts.isSlow = true
  const timers = vi.spyOn(globalThis, 'setTimeout')
  await using watched = await Watched.open(cluster, { primary: slow.pool }, { counts: false })
  const rests = [2_000, 4_000]
  await vi.waitFor(() => {
    const given = timers.mock.calls.map(([, ms = 0]) => ms)
    for (const ms of rests) expect(given.some((each) => each > ms - 100 && each <= ms)).toBe(true)
  }, WAIT)
  timers.mockRestore()
  expect(slow.counts.readings).toBe(rests.length)
  slow.counts.isSlow = false
  await whenCatalogIsRead(watched.db)
})

test('a replica that has other data is not asked for the catalog', async () => {
  await primary.query('create database elsewhere')
  await cluster.waitForCatchup()
  const other = countingPool(replica, 'elsewhere')
  await using watched = await Watched.open(
    cluster,
    { replicas: [other.pool], probeIntervalMs: 50 },
    { counts: false },
  )
  await watched.untilUnfit('other-database', 'replica-1')
  await whenCatalogIsRead(watched.db)
  await primary.stop('fast')
  await expect(whereAndWhyInRequest(() => sql`select nobody_knows()`.execute(watched.db))).rejects.toThrow()
  expect(other.counts.readings).toBe(0)
})
