import { sql } from 'kysely'
import pg from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { openDatabase, poolOf } from '../support/cluster.ts'
import { inRequest, whereAndWhyInRequest } from '../support/request.ts'
import { routesOf, whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// What is taken for a read and is none: the classifier was told so, which is how it can be wrong.
const { cluster } = useShop({
  sql: [
    `
    create function add_item(text) returns int language sql volatile as
      $$ insert into item (name) values ($1) returning id $$`,
    `
    create function lock_and_add(text) returns int language plpgsql volatile as
      $$ begin perform pg_advisory_lock(42); return add_item($1); end $$`,
  ],
})

const names = async () =>
  (await cluster.primary.query<{ name: string }>('select name from item order by id')).map(
    (each) => each.name,
  )
const open = (options = {}) =>
  openDatabase(cluster, { replicaFunctions: ['add_item', 'lock_and_add'], ...options })

describe('a write that was taken for a read', () => {
  test('runs once more on the primary, takes effect once, counts, and is known from then on', async () => {
    const db = open()
    const add = () => sql`select add_item('once')`.execute(db)
    expect(await whereAndWhyInRequest(add)).toEqual(['replica: read', 'primary: refused'])
    expect(await names()).toEqual(['once'])
    const routes = await whereAndWhyInRequest(async () => {
      await add()
      await db.selectFrom('item').selectAll().execute()
    })
    expect(routes).toEqual(['primary: write', 'primary: own-write'])
    expect(await names()).toEqual(['once', 'once'])
    await db.destroy()
  })

  test('leaves no lock of its session behind on the replica', async () => {
    const db = open()
    await inRequest(() => sql`select lock_and_add('locked')`.execute(db))
    const locks = "select count(*)::int as n from pg_locks where locktype = 'advisory'"
    await expect.poll(() => cluster.replicas[0]?.query(locks)).toEqual([{ n: 0 }])
    expect((await names()).filter((each) => each === 'locked')).toHaveLength(1)
    await db.destroy()
  })

  test('is streamed once more from the primary', async () => {
    const db = open()
    const ids: unknown[] = []
    const routes = await whereAndWhyInRequest(async () => {
      const stream = db.selectNoFrom(sql<number>`add_item('streamed')`.as('id')).stream(1)
      for await (const row of stream) ids.push(row.id)
    })
    expect(routes).toEqual(['replica: read', 'primary: refused'])
    expect(ids).toEqual([expect.any(Number)])
    expect((await names()).filter((each) => each === 'streamed')).toHaveLength(1)
    await db.destroy()
  })

  test('is not tried again inside a read-only transaction', async () => {
    const db = open()
    const before = await names()
    const inTransaction = inRequest(() =>
      db
        .transaction()
        .setAccessMode('read only')
        .execute((trx) => sql`select add_item('never')`.execute(trx)),
    )
    await expect(inTransaction).rejects.toMatchObject({ code: '25006' })
    expect(await names()).toEqual(before)
    await db.destroy()
  })
})

describe('what a replica does not know yet', () => {
  test('is read from the primary: a table, a column, a function of a migration', async () => {
    const db = open()
    // A replica that lacks what was there at the first look serves nobody.
    expect(await whereAndWhyInRequest(() => sql`select 1`.execute(db))).toEqual(['replica: read'])
    await cluster.replicas[0]?.pauseReplay()
    await cluster.primary.query('create table fresh (id int)')
    await cluster.primary.query('alter table session add column fresh int')
    const reads = [
      () => sql`select * from fresh`.execute(db),
      () => sql`select fresh from session`.execute(db),
    ]
    for (const read of reads) {
      expect(await whereAndWhyInRequest(read)).toEqual(['replica: read', 'primary: refused'])
    }
    await cluster.replicas[0]?.resumeReplay()
    await cluster.waitForCatchup()
    // It is asked there again after a second's rest.
    await vi.waitFor(
      async () =>
        expect(await whereAndWhyInRequest(reads[0] as () => Promise<unknown>)).toEqual(['replica: read']),
      { timeout: 20_000, interval: 20 },
    )
    await db.destroy()
  })

  test('fails with the error of the primary where it does not exist there either', async () => {
    const db = open()
    await expect(inRequest(() => sql`select * from nowhere`.execute(db))).rejects.toMatchObject({
      code: '42P01',
    })
    await db.destroy()
  })
})

describe('the sessions of replicas', () => {
  const readOnly = async (db: ReturnType<typeof open>) =>
    (
      await inRequest(() =>
        sql<{ s: string }>`select current_setting('default_transaction_read_only') as s`.execute(db),
      )
    ).rows[0]?.s

  test('are read-only, also where the replica is the primary itself', async () => {
    const { connectionString } = cluster.primary
    const db = open({ primary: connectionString, replicas: [connectionString] })
    expect(await readOnly(db)).toBe('on')
    const before = (await names()).length
    expect(await whereAndWhyInRequest(() => sql`select add_item('local')`.execute(db))).toEqual([
      'replica: read',
      'primary: refused',
    ])
    expect(await names()).toHaveLength(before + 1)
    await db.destroy()
  })

  test('keep the options of the caller, in the configuration and in the connection string', async () => {
    const { connectionString } = cluster.primary
    const path = async (replica: object | string) => {
      const db = open({ replicas: [replica] })
      const { rows } = await inRequest(() =>
        sql<{ s: string }>`select current_setting('search_path') as s`.execute(db),
      )
      const result = [rows[0]?.s, await readOnly(db)]
      await db.destroy()
      return result
    }
    expect(await path({ connectionString, options: '-c search_path=shop,public' })).toEqual([
      'shop,public',
      'on',
    ])
    const inString = `${connectionString}?options=${encodeURIComponent('-c search_path=shop,public')}`
    expect(await path(inString)).toEqual(['shop,public', 'on'])
    expect(await path(new pg.Pool({ connectionString: inString }))).toEqual(['shop,public', 'on'])
  })

  test('are read-only in a pool that had connections before', async () => {
    const pool = poolOf(cluster.primary)
    await pool.query('select 1')
    const db = open({ replicas: [pool] })
    expect(await readOnly(db)).toBe('on')
    await db.destroy()
  })

  test('are left alone with enforceReadOnly: false, and the primary’s always are', async () => {
    const db = open({ enforceReadOnly: false })
    expect(await readOnly(db)).toBe('off')
    await db.destroy()
    const none = open({ replicas: [] })
    expect(await readOnly(none)).toBe('off')
    await none.destroy()
  })
})

describe('a statement that only the primary can do', () => {
  test('is sent there although its refusal does not say 25006', async () => {
    const db = open({ replicaFunctions: ['lo_create', 'pg_logical_emit_message', 'txid_current'] })
    const routes = await routesOf(() =>
      inRequest(() => sql`select pg_logical_emit_message(false, 'a', 'b')`.execute(db)),
    )
    expect(routes.map(({ role }) => role)).toEqual(['replica', 'primary'])
    await db.destroy()
  })

  test('fails inside useNode() with the error of that node', async () => {
    const db = open()
    const { useNode } = await import('write-pinning')
    const add = useNode('replica-1', () => sql`select add_item('refused')`.execute(db))
    await expect(add).rejects.toMatchObject({ code: '25006' })
    expect(await whereAndWhy(() => useNode('replica-1', () => sql`select 1`.execute(db)))).toEqual([
      'replica: use-node',
    ])
    await db.destroy()
  })
})
