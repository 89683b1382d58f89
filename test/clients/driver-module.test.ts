import { EventEmitter } from 'node:events'
import pg from 'pg'
import { Sequelize } from 'sequelize'
import { DataSource } from 'typeorm'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { initialSettings } from '../../src/pg/initial-settings.ts'
import { Settings } from '../../src/sql/settings.ts'

// Nothing listens there: none of this needs a server.
const NOWHERE = 'postgres://somebody@127.0.0.1:1/shop'
const pool = new PrimaryReplicaPool({ primary: NOWHERE, replicas: [] })
const { driver } = pool

describe('a pool that is given where its driver is meant', () => {
  const WHAT_TO_WRITE = /`pool\.driver`/

  it('says so in Sequelize, instead of connecting past the pool', async () => {
    const db = new Sequelize({ dialect: 'postgres', dialectModule: pool, logging: false })
    await expect(db.authenticate()).rejects.toMatchObject({
      code: 'ERR_WRITE_PINNING_OPTION',
      message: expect.stringMatching(WHAT_TO_WRITE),
    })
    await db.close()
  })

  it('says so in TypeORM', async () => {
    await expect(new DataSource({ type: 'postgres', driver: pool }).initialize()).rejects.toMatchObject({
      code: 'ERR_WRITE_PINNING_OPTION',
      message: expect.stringMatching(WHAT_TO_WRITE),
    })
  })

  it('looks like a pool of pg to whoever looks', () => {
    const its = pool as unknown as Record<string, unknown>
    expect(typeof its.Client).toBe('function')
    expect(Object.keys(its).filter((name) => !Object.hasOwn(new pg.Pool(), name))).toEqual([
      'query',
      'connect',
      'end',
    ])
  })
})

describe('the driver of a pool', () => {
  it('is made once, and has the types of pg', () => {
    expect(pool.driver).toBe(driver)
    expectTypeOf(driver).toEqualTypeOf<typeof pg>()
  })

  it('has all that pg has, and replaces its clients and pools only', () => {
    const replaced = new Set(['Client', 'Pool', 'native'])
    for (const name of Object.getOwnPropertyNames(pg)) {
      expect(Object.hasOwn(driver, name), name).toBe(true)
      if (!replaced.has(name)) expect(driver[name as 'types'], name).toBe(pg[name as 'types'])
    }
    expect(Object.keys(driver)).toEqual(Object.keys(pg))
    expect(driver.Client).not.toBe(pg.Client)
    expect(driver.Pool).not.toBe(pg.Pool)
    expect((driver.Client as unknown as { Query: unknown }).Query).toBe(pg.Query)
  })

  it('does not go around its pool where the native client is preferred', () => {
    expect(driver.native).toBe(pg.native === null ? null : driver)
  })

  it('makes clients and pools that are what pg makes to whoever looks', () => {
    const client = new driver.Client()
    expect(client).toBeInstanceOf(pg.Client)
    expect(client).toBeInstanceOf(EventEmitter)
    expect(client).toMatchObject({
      processID: null,
      host: '127.0.0.1',
      port: 1,
      user: 'somebody',
      database: 'shop',
    })
    expect(client.escapeIdentifier('a"b')).toBe('"a""b"')
    expect(client.escapeLiteral("a'b")).toBe("'a''b'")
    const its = new driver.Pool({ max: 3 })
    expect(its).toBeInstanceOf(pg.Pool)
    expect(its.options.max).toBe(3)
  })

  it('takes no word of a client on where to connect to', () => {
    const client = new driver.Client({ host: 'elsewhere', port: 2, connectionString: 'postgres://a@b/c' })
    expect(client).toMatchObject({ host: '127.0.0.1', port: 1, database: 'shop' })
  })

  it('reads options of any length in no time, and each as PostgreSQL does', () => {
    const options = ['-c  app.a=1', '--app-b=2', "-capp.c=3\\ '--app.d=4", '-'.repeat(100_000)].join(' ')
    const begunAtMs = performance.now()
    const settings = initialSettings({ options })
    expect(performance.now() - begunAtMs).toBeLessThan(1_000)
    expect(settings.statementsAfter(Settings.NONE, Settings.NONE, false)).toEqual([
      "select pg_catalog.set_config('app.a', '1', false)",
      "select pg_catalog.set_config('app_b', '2', false)",
      "select pg_catalog.set_config('app.c', '3 ''--app.d=4', false)",
    ])
  })

  it('makes a client that can be ended before it is connected', async () => {
    await new driver.Client().end()
    const its = new driver.Pool()
    await its.end()
  })
})
