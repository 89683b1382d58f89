import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { useNode, usePrimary } from 'write-pinning'
import { openDatabase } from '../support/cluster.ts'
import { countsAsWrite, inRequest, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// A replica answers these without an error, and not as the primary does: which transactions are under way or prepared it does not say.
const { cluster, db } = useShop({ settings: { max_prepared_transactions: 2 } })
let underWay: pg.Client
let xid: string

beforeAll(async () => {
  const { primary } = cluster
  await primary.query(`
    create view snapshot as select pg_current_snapshot() as s;
    create function snapshot_now() returns text language sql stable as $$ select pg_current_snapshot()::text $$;
    create view prepared as select gid from pg_prepared_xacts`)
  underWay = new pg.Client({ connectionString: primary.connectionString })
  await underWay.connect()
  await underWay.query("begin; insert into item (name) values ('prepared'); prepare transaction 'one'")
  await underWay.query("begin; insert into item (name) values ('under way')")
  xid = (await underWay.query<{ xid: string }>('select pg_current_xact_id()::text as xid')).rows[0]?.xid ?? ''
  await primary.query("insert into item (name) values ('later')")
  await cluster.waitForCatchup()
  await whenCatalogIsRead(db)
})

afterAll(async () => {
  await underWay.query('rollback')
  await underWay.query("rollback prepared 'one'")
  await underWay.end()
})

const ask = async (text: string) => (await sql.raw(text).execute(db)).rows

test('a transaction that is under way is not visible in a snapshot, wherever a request reads', async () => {
  const text = `select pg_visible_in_snapshot('${xid}', pg_current_snapshot()) as is_over`
  expect(await inRequest(() => ask(text))).toEqual([{ is_over: false }])
})

test.each([
  ['select pg_current_snapshot()::text', 'session'],
  ['select txid_current_snapshot()::text', 'session'],
  ['select gid from pg_prepared_xacts', 'primary-table'],
  ['select gid from prepared', 'primary-table'],
  ['select pg_prepared_xact()::text', 'session'],
  ['select pg_notification_queue_usage()', 'session'],
])('%s is asked of the primary, and pins nobody', async (text, why) => {
  expect(await whereAndWhyInRequest(() => ask(text))).toEqual([`primary: ${why}`])
  expect(await inRequest(() => ask(text))).toEqual(await usePrimary(() => ask(text)))
  expect(await countsAsWrite(db, text)).toBe(false)
})

test('what became of a transaction is asked of the primary, and pins nobody', async () => {
  for (const name of ['pg_xact_status', 'txid_status']) {
    const text = `select ${name}('${xid}')`
    expect(await whereAndWhyInRequest(() => ask(text))).toEqual(['primary: session'])
    expect(await countsAsWrite(db, text)).toBe(false)
  }
})

test.each(['select * from snapshot', 'select snapshot_now()'])('%s is asked of the primary', async (text) => {
  expect(await whereAndWhyInRequest(() => ask(text))).toEqual(['primary: function'])
})

test.each([
  "select pg_snapshot_xmin('10:20:10,14')",
  'select age(xmin), mxid_age(relminmxid) from pg_class limit 1',
  'select pg_is_in_recovery()',
  'select count(*) from pg_locks',
])('%s, which any node can say, is asked of a replica', async (text) => {
  expect(await whereAndWhyInRequest(() => ask(text))).toEqual(['replica: read'])
})

test('views of one server answer for the node that is read, and for the primary where that is said', async () => {
  const standbys = 'select application_name as name from pg_stat_replication'
  const slots = 'select active from pg_replication_slots'
  expect(await inRequest(() => ask(standbys))).toEqual([])
  expect(await inRequest(() => ask(slots))).toEqual([])
  expect(await useNode('replica-1', () => ask(standbys))).toEqual([])
  expect(await usePrimary(() => ask(standbys))).toEqual([{ name: 'replica-1' }])
  expect(await usePrimary(() => ask(slots))).toEqual([{ active: true }])
  const always = openDatabase(cluster, { primaryTables: ['pg_stat_replication', 'pg_replication_slots'] })
  for (const text of [standbys, slots, 'select 1 from pg_catalog.pg_stat_replication']) {
    const asked = () => sql.raw(text).execute(always)
    expect(await whereAndWhyInRequest(asked)).toEqual(['primary: primary-table'])
    expect(await countsAsWrite(always, text)).toBe(false)
  }
  await always.destroy()
})

test('before the catalog is read, a snapshot is taken on the primary as well', async () => {
  const fresh = openDatabase(cluster)
  expect(await whereAndWhyInRequest(() => sql`select pg_current_snapshot()::text`.execute(fresh))).toEqual([
    'primary: session',
  ])
  await fresh.destroy()
})
