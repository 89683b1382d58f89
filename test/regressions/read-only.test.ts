import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import type { PoolLike } from 'write-pinning/kysely'
import { type Database, openDatabase } from '../support/cluster.ts'
import { RefusingClient } from '../support/refusing-client.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'

const { cluster } = useShop()
let url: string

beforeAll(async () => {
  url = cluster.primary.connectionString
})

afterEach(() => vi.unstubAllEnvs())

// The replica is the primary itself, which says no by itself to nothing.
const open = (replica: string | pg.PoolConfig | PoolLike) =>
  openDatabase(cluster, { primary: url, replicas: [replica] })
const settings = async (db: Kysely<Database>) => {
  const { rows } = await inRequest(() =>
    sql<{
      readOnly: string
      path: string
    }>`select current_setting('default_transaction_read_only') as "readOnly",
      current_setting('search_path') as path`.execute(db),
  )
  return [rows[0]?.readOnly, rows[0]?.path]
}

describe('a replica’s session is read-only and keeps what the caller set', () => {
  const given: Record<string, () => string | pg.PoolConfig> = {
    'in a connection string': () => `${url}?options=-c%20search_path%3Dmine`,
    'in a connection string, as a form writes it': () => `${url}?options=-c+search_path%3Dmine`,
    'in a connection string that has spaces in it': () =>
      `${url}?application_name=my app&options=-c search_path=mine`,
    'in a connection string, twice': () =>
      `${url}?options=-c%20search_path%3Dother&options=-c%20search_path%3Dmine`,
    'in a connection string with a lone percent sign': () =>
      `${url}?options=-c%20search_path=mine%20-c%20application_name=100%`,
    'in the configuration': () => ({ connectionString: url, options: '-c search_path=mine' }),
    'in the configuration, with a backslash and quotes': () => ({
      connectionString: url,
      options: '-c search_path=mine -c application_name=it\\\'s\\ "mine"\\\\',
    }),
    'in both: the connection string wins': () => ({
      connectionString: `${url}?options=--search_path%3Dmine`,
      options: '-c search_path=other',
    }),
  }
  test.each(Object.entries(given))('%s', async (_name, replica) => {
    const db = open(replica())
    expect(await settings(db)).toEqual(['on', 'mine'])
    await db.destroy()
  })

  test.each([
    ['nothing', () => url],
    ['empty options', () => ({ connectionString: url, options: '' })],
    ['empty options in the connection string', () => `${url}?options=`],
  ] as const)('in PGOPTIONS, beside %s', async (_name, replica) => {
    vi.stubEnv('PGOPTIONS', '-c search_path=mine')
    const db = open(replica())
    expect(await settings(db)).toEqual(['on', 'mine'])
    await db.destroy()
  })
})

test('a pool may be a replica of two dialects, and of one that is made later', async () => {
  const pool = new pg.Pool({ connectionString: url, options: '-c search_path=mine' })
  const [first, second] = [open(pool), open(pool)]
  expect(await settings(first)).toEqual(['on', 'mine'])
  expect(await settings(second)).toEqual(['on', 'mine'])
  expect((pool.options as pg.PoolConfig).options).toBe(
    '-c default_transaction_read_only=on -c search_path=mine',
  )
  await first.destroy()
  await second.destroy().catch(() => {})
  // Without a connection string of its own, it is not given an empty one.
  const { host, port, pathname } = new URL(url)
  const plain = new pg.Pool({
    host: '127.0.0.1',
    port: Number(port || host),
    user: 'postgres',
    database: pathname.slice(1),
  })
  const third = open(plain)
  expect(await settings(third)).toEqual(['on', '"$user", public'])
  expect(() => open(plain)).not.toThrow()
  await third.destroy()
})

describe('behind a pooler that takes no start-up options', () => {
  const pooled = () => new pg.Pool({ connectionString: url, Client: RefusingClient } as pg.PoolConfig)

  test('all the first queries are done without, and that is said once', async () => {
    const db = open(pooled())
    const warnings = await warningsOf(async () => {
      const all = await Promise.all(Array.from({ length: 8 }, () => settings(db)))
      expect(all.map(([readOnly]) => readOnly)).toEqual(Array(8).fill('off'))
    })
    // That it is the primary under another name is said as well.
    expect(warnings.sort()).toEqual(['WRITE_PINNING_NODE_ROLE', 'WRITE_PINNING_NOT_READ_ONLY'])
    await db.destroy()
  })

  test('a pool that had connections before serves as well', async () => {
    const pool = pooled()
    const before = await Promise.all([pool.connect(), pool.connect()])
    for (const client of before) client.release()
    const db = open(pool)
    await warningsOf(async () => {
      for (let query = 0; query < 4; query++) await settings(db)
    })
    await db.destroy()
  })

  test('two dialects over one pool both do without', async () => {
    const pool = pooled()
    const [first, second] = [open(pool), open(pool)]
    await warningsOf(async () => {
      for (let query = 0; query < 3; query++) {
        expect(await settings(first)).toEqual(['off', '"$user", public'])
        expect(await settings(second)).toEqual(['off', '"$user", public'])
      }
    })
    await first.destroy()
    await second.destroy().catch(() => {})
  })

  test('an overload, which PgBouncer gives the same code, is no refusal of them', async () => {
    class Overloaded extends pg.Client {
      // biome-ignore lint/suspicious/noExplicitAny: as above.
      override connect(callback?: any): any {
        callback(Object.assign(new Error('no more connections allowed (max_client_conn)'), { code: '08P01' }))
      }
    }
    const db = open(new pg.Pool({ connectionString: url, Client: Overloaded } as pg.PoolConfig))
    const warnings = await warningsOf(async () => {
      // So the primary serves its reads.
      expect(await settings(db)).toEqual(['off', '"$user", public'])
    })
    expect(warnings).not.toContain('WRITE_PINNING_NOT_READ_ONLY')
    await db.destroy()
  })
})
