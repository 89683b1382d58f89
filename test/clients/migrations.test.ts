import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { drizzle } from 'drizzle-orm/node-postgres'
import { migrate } from 'drizzle-orm/node-postgres/migrator'
import pg from 'pg'
import { DataSource, type MigrationInterface, type QueryRunner } from 'typeorm'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { usePrimary } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { nodesOf, type Options } from './client.ts'
import { startCluster, withReplayPaused } from './contract.ts'

// A migration that a replica does not know of yet must not be run again.
const cluster = await startCluster()
withReplayPaused(cluster)

// Each test begins with nothing, on every node: what this drops is replayed before the next one.
afterEach(async () => {
  await cluster.primary.query('drop schema if exists drizzle cascade')
  await cluster.primary.query('drop table if exists migrations, drizzle_chair, typeorm_chair')
})

const folder = await mkdtemp(path.join(tmpdir(), 'migrations-'))
afterAll(() => rm(folder, { recursive: true }))

await mkdir(path.join(folder, 'meta'))
const entries = [{ idx: 0, version: '7', when: 1, tag: '0000_chair', breakpoints: true }]
await writeFile(path.join(folder, 'meta', '_journal.json'), JSON.stringify({ entries }))
await writeFile(path.join(folder, '0000_chair.sql'), 'create table drizzle_chair (id int)')

class Chair1700000000000 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('create table typeorm_chair (id int)')
  }

  async down(): Promise<void> {}
}

const libraries: Record<string, (pool: pg.Pool) => Promise<void>> = {
  async Drizzle(pool) {
    await migrate(drizzle({ client: pool }), { migrationsFolder: folder })
    await pool.end()
  },
  async TypeORM(pool) {
    const driver = {
      ...pg,
      Pool: function Pool() {
        return pool
      },
    }
    const source = new DataSource({ type: 'postgres', driver, migrations: [Chair1700000000000] })
    await source.initialize()
    await source.runMigrations()
    await source.destroy()
  },
}

describe.each(Object.entries(libraries))('the migrations of %s', (name, run) => {
  const opened = (options: Options = {}) => new PrimaryReplicaPool({ ...nodesOf(cluster), ...options })

  it('run once, although no replica has replayed them', async () => {
    await run(opened())
    await run(opened())
    const table = `${name.toLowerCase()}_chair`
    expect(await cluster.primary.query('select to_regclass($1) is null as missing', [table])).toEqual([
      { missing: false },
    ])
  })

  it('run once in usePrimary(), where reads outside any request go to replicas', async () => {
    const pool = () => opened({ withoutContext: 'replica', lagSource: () => 0 })
    await usePrimary(() => run(pool()))
    await usePrimary(() => run(pool()))
  })
})
