import { DataSource, EntitySchema, type MigrationInterface, type QueryRunner } from 'typeorm'
import { afterEach, describe, expect, it } from 'vitest'
import { usePrimary } from 'write-pinning'
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

const Item = new EntitySchema<{ id: number; name: string }>({
  name: 'item',
  columns: { id: { type: 'int', primary: true, generated: 'increment' }, name: { type: 'text' } },
})

class Shelf1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('create table shelf (id int)')
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('drop table shelf')
  }
}

/** TypeORM over a pool of its own, with its own pool of one client. */
async function open(options: object = {}): Promise<DataSource> {
  const pool = new PrimaryReplicaPool(nodesOf(cluster))
  await pool.ready()
  const source = new DataSource({
    ...{
      type: 'postgres',
      driver: pool.driver,
      poolSize: 1,
      entities: [Item],
      migrations: [Shelf1700000000000],
    },
    ...{ logging: false, ...options },
  })
  await source.initialize()
  opened.push(async () => {
    await source.destroy()
    await pool.end()
  })
  return source
}

describe('TypeORM by its driver', () => {
  it('reads on the replica, also after it has written on the same client', async () => {
    const items = (await open()).getRepository(Item)
    const routes = await whereAndWhy(async () => {
      await inRequest(() => items.find())
      await inRequest(() => items.insert({ name: 'lamp' }))
      await inRequest(() => items.find())
    })
    expect(routes).toEqual(['replica: read', 'primary: write', 'replica: read'])
  })

  it('has a runner for one connection, with transactions within transactions', async () => {
    const source = await open()
    const runner = source.createQueryRunner()
    await inRequest(async () => {
      await runner.startTransaction()
      await runner.manager.insert(Item, { name: 'kept' })
      await runner.startTransaction()
      await runner.manager.insert(Item, { name: 'dropped' })
      await runner.rollbackTransaction()
      expect(await runner.manager.find(Item)).toMatchObject([{ name: 'kept' }])
      await runner.commitTransaction()
    })
    await runner.release()
    expect(await cluster.primary.query('select name from item')).toEqual([{ name: 'kept' }])
  })

  it('runs migrations once, although no replica has replayed them, and takes them back', async () => {
    const [replica] = cluster.replicas
    await replica?.pauseReplay()
    for (const times of [1, 0]) expect(await (await open()).runMigrations()).toHaveLength(times)
    await (await open()).undoLastMigration()
    expect(await cluster.primary.query("select to_regclass('shelf') is null as it")).toEqual([{ it: true }])
    await replica?.resumeReplay()
    await cluster.waitForCatchup()
  })

  it('streams from the replica', async () => {
    const source = await open()
    const runner = source.createQueryRunner()
    const rows: unknown[] = []
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        for await (const row of await runner.stream('select n from generate_series(1, 250) as n'))
          rows.push(row)
      }),
    )
    await runner.release()
    expect(routes).toEqual(['replica: read'])
    expect(rows).toHaveLength(250)
  })

  it('replaces a client whose write has lost its backend', async () => {
    const items = (await open()).getRepository(Item)
    await items.insert({ name: 'lamp' })
    const failed = expect(items.query('update item set name = pg_sleep(60)::text')).rejects.toThrow()
    const pid = await running(cluster.primary, /pg_sleep/)
    await cluster.primary.query('select pg_terminate_backend($1)', [pid])
    await failed
    await items.insert({ name: 'chair' })
    expect((await usePrimary(() => items.find({ order: { id: 'asc' } }))).map(({ name }) => name)).toEqual([
      'lamp',
      'chair',
    ])
  })

  it('tells of notices and notifications where it is told to log them', async () => {
    const log = (_level: string, message: string) => messages.push(message)
    const messages: string[] = []
    const logger = {
      log,
      logQuery() {},
      logQueryError() {},
      logQuerySlow() {},
      logSchemaBuild() {},
      logMigration() {},
    }
    const source = await open({ logNotifications: true, logger })
    await source.query("do $$ begin raise notice 'look'; end $$")
    expect(messages).toContain('look')
  })
})
