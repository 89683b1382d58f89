import pgPromise from 'pg-promise'
import QueryStream from 'pg-query-stream'
import { afterEach, describe, expect, it } from 'vitest'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { inRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { nodesOf } from './client.ts'
import { running, startCluster } from './contract.ts'

const cluster = await startCluster()
const opened: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0)) await close()
})

/** pg-promise over a pool of its own, for one test. */
async function open(options: pgPromise.IInitOptions = {}) {
  const pool = new PrimaryReplicaPool(nodesOf(cluster))
  await pool.ready()
  const pgp = pgPromise({ noWarnings: true, ...options })
  const db = pgp({ Client: pool.driver.Client } as object)
  opened.push(async () => {
    await db.$pool.end()
    if (!pool.ending) await pool.end()
  })
  return { pgp, db, pool }
}

const INSERT = 'insert into item (name) values ($1)'

describe('pg-promise', () => {
  it('reads on the replica, also in a task, until that has written', async () => {
    const { db } = await open()
    const routes = await whereAndWhy(() =>
      inRequest(() =>
        db.task(async (t) => {
          await t.any('select * from item')
          await t.none(INSERT, ['lamp'])
          expect(await t.one('select name from item')).toEqual({ name: 'lamp' })
        }),
      ),
    )
    expect(routes).toEqual(['replica: read', 'primary: write', 'primary: own-write'])
  })

  it('reads on the replica again for the next one who gets its client', async () => {
    const { db } = await open()
    await inRequest(() => db.none(INSERT, ['lamp']))
    expect(await whereAndWhy(() => inRequest(() => db.any('select * from item')))).toEqual(['replica: read'])
    expect(db.$pool.totalCount).toBe(1)
  })

  it('has transactions within transactions', async () => {
    const { db } = await open()
    const routes = await whereAndWhy(() =>
      inRequest(() =>
        db.tx(async (outer) => {
          await outer.none(INSERT, ['kept'])
          const inner = outer.tx(async (t) => {
            await t.none(INSERT, ['dropped'])
            throw new Error('no')
          })
          await expect(inner).rejects.toThrow('no')
          expect(await outer.any('select name from item')).toEqual([{ name: 'kept' }])
        }),
      ),
    )
    expect(new Set(routes)).toEqual(new Set(['primary: transaction']))
    expect(await cluster.primary.query('select name from item')).toEqual([{ name: 'kept' }])
  })

  it('has a transaction that only reads on the replica', async () => {
    const { db, pgp } = await open()
    const mode = new pgp.txMode.TransactionMode({
      tiLevel: pgp.txMode.isolationLevel.repeatableRead,
      readOnly: true,
    })
    const read = () => db.tx({ mode }, (t) => t.one('select pg_is_in_recovery() as it'))
    expect(await inRequest(read)).toEqual({ it: true })
  })

  it('sends prepared statements and parameters to whichever node, again and again', async () => {
    const { db, pgp } = await open()
    const prepared = new pgp.PreparedStatement({
      name: 'by-name',
      text: 'select name from item where name = $1',
    })
    const parameterized = new pgp.ParameterizedQuery({ text: 'select $1::int as it' })
    await db.none(INSERT, ['lamp'])
    await cluster.waitForCatchup()
    const routes = await whereAndWhy(async () => {
      for (const work of [inRequest, (fn: () => unknown) => fn(), inRequest]) {
        expect(await work(() => db.any(prepared, ['lamp']))).toEqual([{ name: 'lamp' }])
        expect(await work(() => db.one(parameterized, [1]))).toEqual({ it: 1 })
      }
    })
    expect(new Set(routes)).toEqual(new Set(['replica: read', 'primary: no-context']))
  })

  it('streams from the replica', async () => {
    const { db } = await open()
    const rows: unknown[] = []
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        const stream = new QueryStream('select n from generate_series(1, 250) as n')
        const { processed } = await db.stream(stream as never, (each) => {
          ;(each as unknown as NodeJS.ReadableStream).on('data', (row) => rows.push(row))
        })
        expect(processed).toBe(250)
      }),
    )
    expect(routes).toEqual(['replica: read'])
    expect(rows).toHaveLength(250)
  })

  it('tells of the clients that it connects, whose parameters are those of the primary', async () => {
    const told: string[] = []
    const { db } = await open({
      connect: ({ client, useCount }) => {
        const { database } = (client as unknown as { connectionParameters: { database: string } })
          .connectionParameters
        told.push(`connected ${database} ${useCount}`)
      },
      disconnect: () => told.push('disconnected'),
    })
    await db.any('select 1')
    await db.any('select 1')
    expect(told).toEqual(['connected test 0', 'disconnected', 'connected test 1', 'disconnected'])
  })

  it('keeps its schema on the clients that it makes', async () => {
    const { db } = await open({ schema: ['shop', 'public'] })
    expect((await inRequest(() => db.one('show search_path'))).search_path).toBe('shop, public')
  })

  it('tells of a lost connection, and replaces the client', async () => {
    const errors: string[] = []
    const { db } = await open({ error: (error: { message: string }) => errors.push(error.message) })
    await db.none(INSERT, ['lamp'])
    const lost = db.none('update item set name = pg_sleep(60)::text')
    const failed = expect(lost).rejects.toThrow('terminating connection')
    const pid = await running(cluster.primary, /pg_sleep/)
    await cluster.primary.query('select pg_terminate_backend($1)', [pid])
    await failed
    await db.none(INSERT, ['chair'])
    expect(await db.map('select name from item order by id', [], ({ name }) => name)).toEqual([
      'lamp',
      'chair',
    ])
    expect(errors[0]).toContain('terminating connection')
  })

  it('reaches the pool by its module, too, with connections that are no pool’s', async () => {
    const pool = new PrimaryReplicaPool(nodesOf(cluster))
    await pool.ready()
    const pgp = pgPromise({ noWarnings: true })
    ;(pgp as { pg: unknown }).pg = pool.driver
    const db = pgp({})
    const direct = await db.connect({ direct: true })
    expect(await whereAndWhy(() => inRequest(() => direct.any('select * from item')))).toEqual([
      'replica: read',
    ])
    await direct.done()
    await db.$pool.end()
    await pool.end()
  })
})
