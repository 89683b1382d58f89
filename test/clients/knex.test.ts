import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import knexOf, { type Knex } from 'knex'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { knexClient } from 'write-pinning/knex'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { inRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { terminateClients } from '../support/server-clients.ts'
import { nodesOf } from './client.ts'
import { running, startCluster, WAIT } from './contract.ts'

const cluster = await startCluster()
const opened: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0)) await close()
})

/** Knex over a pool of its own, for one test. */
async function open(config: Knex.Config = {}): Promise<Knex> {
  const pool = new PrimaryReplicaPool(nodesOf(cluster))
  await pool.ready()
  const db = knexOf({ client: knexClient(pool), ...config })
  opened.push(async () => {
    await db.destroy()
    await pool.end()
  })
  return db
}

describe('Knex', () => {
  it('needs no connection, and reads on the replica, also after it has written on the same client', async () => {
    const db = await open({ pool: { min: 0, max: 1 } })
    const routes = await whereAndWhy(async () => {
      await inRequest(() => db('item').then())
      await inRequest(() => db('item').insert({ name: 'lamp' }).then())
      await inRequest(() => db('item').then())
    })
    expect(routes.filter((route) => route !== 'replica: read')).toEqual(['primary: write'])
    expect(routes.at(-1)).toBe('replica: read')
  })

  it.each([[undefined], [nodesOf(cluster)], [new PrimaryReplicaPool(nodesOf(cluster)).driver]])(
    'is made of a pool, and says so: not of %s',
    (given) => {
      expect(() => knexClient(given as never)).toThrow(/takes the pool itself/)
    },
  )

  it('asks no server for its version where it is told that', async () => {
    const db = await open({ version: '16.1' })
    const routes = await whereAndWhy(() => inRequest(() => db('item').then()))
    expect(routes).toEqual(['replica: read'])
  })

  it.each([
    ['a replica', useReplica, () => cluster.replicas[0]],
    ['the primary', usePrimary, () => cluster.primary],
  ])('cancels a query on %s that takes too long', async (_where, scope, node) => {
    const db = await open({ pool: { min: 0, max: 1 } })
    const slow = scope(() => db.raw('select pg_sleep(60)').timeout(200, { cancel: true }).then())
    await expect(slow).rejects.toThrow('Defined query timeout of 200ms exceeded')
    await expect
      .poll(() =>
        node()?.query(
          "select 1 from pg_stat_activity where state = 'active' and query = 'select pg_sleep(60)'",
        ),
      )
      .toEqual([])
    expect(await scope(() => db('item').then())).toEqual([])
  })

  it('has stack traces that lead to whoever has asked', async () => {
    const db = await open({ asyncStackTraces: true })
    async function whoHasAsked() {
      await db.raw('select nothing from nowhere')
    }
    const error = (await whoHasAsked().catch((each: unknown) => each)) as Error
    expect(error.message).toContain('nowhere')
    expect(error.stack).toContain('whoHasAsked')
  })

  it('sets its search path on each client', async () => {
    const db = await open({ searchPath: ['shop', 'public'] })
    const [shown] = (await inRequest(() => db.raw('show search_path').then())).rows
    expect(shown.search_path).toBe('shop, public')
  })

  it('has transactions within transactions, which see what they wrote and come to nothing by themselves', async () => {
    const db = await open()
    await inRequest(() =>
      db.transaction(async (outer) => {
        await outer('item').insert({ name: 'kept' })
        const inner = outer.transaction(async (trx) => {
          await trx('item').insert({ name: 'dropped' })
          expect(await trx('item').pluck('name')).toEqual(['kept', 'dropped'])
          throw new Error('no')
        })
        await expect(inner).rejects.toThrow('no')
        expect(await outer('item').pluck('name')).toEqual(['kept'])
      }),
    )
    expect(await cluster.primary.query('select name from item')).toEqual([{ name: 'kept' }])
  })

  it('streams from the replica, and from the primary in a transaction', async () => {
    const db = await open()
    const numbers = async (on: Knex) => {
      const rows: unknown[] = []
      for await (const { n } of on.raw('select n from generate_series(1, 5) as n').stream()) rows.push(n)
      return rows
    }
    const routes = await whereAndWhy(async () => {
      expect(await inRequest(() => numbers(db))).toEqual([1, 2, 3, 4, 5])
      expect(await inRequest(() => db.transaction((trx) => numbers(trx)))).toEqual([1, 2, 3, 4, 5])
    })
    expect(routes.at(-1)).toBe('primary: transaction')
    expect(routes.filter((route) => route === 'replica: read').length).toBeGreaterThan(0)
  })

  it('fails where no client of its own is free in time', async () => {
    const db = await open({ pool: { min: 0, max: 1 }, acquireConnectionTimeout: 100 })
    await db.transaction(async () => {
      await expect(inRequest(() => db('item').then())).rejects.toThrow('Timeout acquiring a connection')
    })
    expect(await inRequest(() => db('item').then())).toEqual([])
  })

  it('replaces a client whose transaction has lost its backend', async () => {
    const db = await open({ pool: { min: 0, max: 1 } })
    const lost = db.transaction(async (trx) => {
      await trx('item').insert({ name: 'never' })
      await terminateClients(cluster.primary)
      await trx('item').insert({ name: 'never' })
    })
    await expect(lost).rejects.toThrow()
    await db.transaction((trx) => trx('item').insert({ name: 'lamp' }))
    expect(await cluster.primary.query('select name from item')).toEqual([{ name: 'lamp' }])
  })

  it('replaces a client whose write has lost its backend', async () => {
    const db = await open({ pool: { min: 0, max: 1 } })
    await db('item').insert({ name: 'lamp' })
    const lost = expect(db.raw('update item set name = pg_sleep(60)::text').then()).rejects.toThrow()
    const pid = await running(cluster.primary, /pg_sleep/)
    await cluster.primary.query('select pg_terminate_backend($1)', [pid])
    await lost
    await db('item').insert({ name: 'chair' })
    expect(await usePrimary(() => db('item').pluck('name').then())).toEqual(['lamp', 'chair'])
  })

  it('is destroyed with all its clients, and may be made anew', async () => {
    const db = await open()
    await inRequest(() => db('item').then())
    await db.destroy()
    await expect(inRequest(() => db('item').then())).rejects.toThrow('Unable to acquire a connection')
    db.initialize()
    expect(await inRequest(() => db('item').then())).toEqual([])
  })
})

describe('what Knex keeps in files', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'knex-'))
  afterAll(() => rm(folder, { recursive: true }))
  const [migrations, seeds] = [path.join(folder, 'migrations'), path.join(folder, 'seeds')]
  for (const each of [migrations, seeds]) await mkdir(each)
  await writeFile(
    path.join(migrations, '1_chair.cjs'),
    `exports.up = (knex) => knex.schema.createTable('knex_chair', (table) => table.increments())
     exports.down = (knex) => knex.schema.dropTable('knex_chair')`,
  )
  await writeFile(
    path.join(seeds, 'items.cjs'),
    `exports.seed = async (knex) => { await knex('item').del(); await knex('item').insert({ name: 'seed' }) }`,
  )
  const config: Knex.Config = {
    migrations: { directory: migrations, loadExtensions: ['.cjs'] },
    seeds: { directory: seeds, loadExtensions: ['.cjs'] },
  }

  it('migrations run once, although no replica has replayed them, and are taken back', async () => {
    const [replica] = cluster.replicas
    await replica?.pauseReplay()
    for (const times of [1, 0]) {
      const db = await open(config)
      const [, run] = await db.migrate.latest()
      expect(run).toHaveLength(times)
      expect(await db.migrate.currentVersion()).toBe('1')
      // Which have run is asked of the primary, wherever that is asked.
      expect(await inRequest(() => db('knex_migrations').pluck('name').then())).toEqual(['1_chair.cjs'])
    }
    const db = await open(config)
    const [, back] = await db.migrate.rollback()
    expect(back).toHaveLength(1)
    await replica?.resumeReplay()
    await cluster.waitForCatchup()
  }, 60_000)

  it('migrations that are under way elsewhere keep others out by their lock', async () => {
    const db = await open(config)
    await db.migrate.latest()
    await db('knex_migrations_lock').update({ is_locked: 1 })
    await expect(inRequest(() => db.migrate.rollback())).rejects.toThrow(/lock/i)
    await inRequest(() => db.migrate.forceFreeMigrationsLock())
    await inRequest(() => db.migrate.rollback())
  })

  it('seeds are written on the primary', async () => {
    const db = await open(config)
    await inRequest(() => db.seed.run())
    expect(await cluster.primary.query('select name from item')).toEqual([{ name: 'seed' }])
    await expect.poll(() => inRequest(() => db('item').pluck('name').then()), WAIT).toEqual(['seed'])
  })
})
