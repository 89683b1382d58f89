import { type Kysely, sql } from 'kysely'
import type pg from 'pg'
import { beforeEach, expect, test, vi } from 'vitest'
import { useNode, usePrimary, useReplica } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { type Database, openDatabase, readItems } from '../support/cluster.ts'
import { openRequest } from '../support/request.ts'
import { clientsOf, inUse, namedPool, terminateClients } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'

const { cluster, open } = useShop()
let primary: pg.Pool
let replica: pg.Pool
let db: Kysely<Database>

beforeEach(() => {
  primary = namedPool(cluster.primary, 'regressions', { max: 1 })
  replica = namedPool(cluster.replicas[0] as PostgresNode, 'regressions', { max: 1 })
  db = open({ primary, replicas: [replica] })
})

const pidOf = async (on: Kysely<Database>) =>
  (await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(on)).rows[0]?.pid

test('a query that nobody awaited keeps no client after its connection was released', async () => {
  let floating: Promise<unknown> | undefined
  await db.connection().execute(async (one) => {
    floating = usePrimary(() => readItems(one)).then(() => readItems(one))
  })
  expect(await floating).toEqual([])
  await vi.waitFor(() => expect(inUse(primary)).toBe(0))
  expect(await usePrimary(() => readItems(db))).toEqual([])
})

test('a transaction that nobody awaited is never left open on a pooled client', async () => {
  let floating: Promise<unknown> | undefined
  await db.connection().execute(async (one) => {
    floating = one
      .transaction()
      .execute((trx) => trx.insertInto('item').values({ name: 'floating' }).execute())
      .catch(() => {})
  })
  await floating
  await vi.waitFor(() => expect(inUse(primary)).toBe(0))
  const { rows } = await usePrimary(() =>
    sql<{ open: boolean }>`select now() <> statement_timestamp() as open`.execute(db),
  )
  expect(rows).toEqual([{ open: false }])
})

test('a write that nobody awaited, sent behind the commit of its transaction, still counts', async () => {
  const request = openRequest()
  let floating: Promise<unknown> | undefined
  await request.run(() =>
    db.transaction().execute(async (trx) => {
      const first = trx.selectFrom('item').selectAll().execute()
      floating = Promise.all([first, trx.insertInto('item').values({ name: 'behind' }).execute()])
    }),
  )
  await floating
  expect(request.memory.wroteTo).toEqual(new Set(['default']))
})

test('a first statement after destroy() fails, and releases nobody else’s client', async () => {
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', onUnhandled)
  await useReplica(() => readItems(db))
  const late = db.connection().execute(async (one) => {
    await db.destroy()
    return useReplica(() => readItems(one))
  })
  await expect(late).rejects.toThrow('driver has already been destroyed')
  await new Promise(setImmediate)
  process.off('unhandledRejection', onUnhandled)
  expect(unhandled).toEqual([])
  expect(replica.ended).toBe(true)
})

test('destroying while a connection is being made releases its client once', async () => {
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown) => unhandled.push(reason)
  process.on('unhandledRejection', onUnhandled)
  const node = cluster.replicas[0] as PostgresNode
  await usePrimary(() => readItems(db))
  await node.freeze()
  const failed = expect(useReplica(() => readItems(db))).rejects.toThrow('driver has already been destroyed')
  await vi.waitFor(() => expect(replica.totalCount).toBe(1))
  const destroyed = db.destroy()
  await node.thaw()
  await destroyed
  await failed
  await new Promise(setImmediate)
  process.off('unhandledRejection', onUnhandled)
  expect(unhandled).toEqual([])
})

test('destroying while many wait for one connection tells each of them so', async () => {
  const slow = sql`select count(*) from generate_series(1, 1000000)`
  const count = () => useReplica(() => slow.execute(db)).catch(String)
  await useReplica(() => readItems(db))
  const waiting = Array.from({ length: 10 }, count)
  await vi.waitFor(() => expect(replica.waitingCount).toBeGreaterThan(0))
  await db.destroy()
  const told = (await Promise.all(waiting)).filter((outcome) => typeof outcome === 'string')
  expect(told.length).toBeGreaterThan(1)
  expect(new Set(told)).toEqual(new Set(['Error: driver has already been destroyed']))
})

test('a client that was connected before the dialect came survives a terminated backend, too', async () => {
  await primary.query('select 1')
  const pid = await usePrimary(() => pidOf(db))
  const using = usePrimary(() =>
    db.connection().execute(async (one) => {
      expect(await pidOf(one)).toBe(pid)
      expect(await terminateClients(cluster.primary)).toBe(1)
      await pidOf(one)
    }),
  )
  await expect(using).rejects.toThrow()
  expect(await usePrimary(() => pidOf(db))).not.toBe(pid)
})

test('a client whose query timed out on this side is not given to the next query, which it would poison', async () => {
  const impatient = namedPool(cluster.primary, 'impatient', { max: 1, query_timeout: 100 })
  await using own = openDatabase(cluster, { primary: impatient })
  await usePrimary(() => readItems(own))
  await expect(usePrimary(() => sql`select pg_sleep(5)`.execute(own))).rejects.toThrow('Query read timeout')
  expect(await usePrimary(() => readItems(own))).not.toBeUndefined()
})

test('a refusal by a server that speaks another language is a refusal', async () => {
  const { isRefusal } = await import('../../src/nodes/error-meaning.ts')
  const refusal = { severity: 'FEHLER', code: '23505' }
  expect(isRefusal(refusal)).toBe(true)
  expect(isRefusal({ ...refusal, code: '57P01' })).toBe(false)
  expect(isRefusal({ ...refusal, severity: 'FATAL' })).toBe(false)
  expect(isRefusal({ ...refusal, code: 'ECONNRESET' })).toBe(false)
  expect(isRefusal({ code: '23505' })).toBe(false)
  expect(isRefusal(undefined)).toBe(false)
})

test('a session that the server ended is reported to the pool’s listeners, as pg does it', async () => {
  const errors: string[] = []
  primary.on('error', ({ message }) => errors.push(message))
  const sleeping = expect(
    useNode('primary', () => sql`select pg_sleep(30)`.execute(db)),
  ).rejects.toMatchObject({
    code: '57P01',
  })
  const pid = await vi.waitFor(async () => {
    const clients = await clientsOf(cluster.primary, 'regressions')
    const sleeper = clients.find(({ state, query }) => state === 'active' && query.includes('pg_sleep(30)'))
    if (sleeper === undefined) throw new Error('nobody sleeps yet')
    return sleeper.pid
  })
  await cluster.primary.query('select pg_terminate_backend($1)', [pid])
  await sleeping
  await vi.waitFor(() => expect(errors).toEqual(['Connection terminated unexpectedly']))
})
