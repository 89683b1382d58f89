import pg from 'pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { useCluster } from '../support/shop.ts'

// What is remembered of a client and of a session is what the server has made of it: otherwise the next client of the same words would find
// something else there. One session on each node.
const { cluster, atEnd } = useCluster({ replicas: 1 })
const TENANT = "select current_setting('app.tenant', true) as it"

beforeEach(() => open())

let pool: PrimaryReplicaPool

async function open(config: pg.PoolConfig = {}): Promise<void> {
  const at = ({ connectionString }: { connectionString: string }) => ({ connectionString, max: 1, ...config })
  const opened = new PrimaryReplicaPool({
    primary: at(cluster.primary),
    replicas: cluster.replicas.map(at),
  })
  pool = opened
  atEnd(() => opened.end())
  await opened.ready()
  await expect.poll(() => opened.status().nodes.every(({ isFit }) => isFit)).toBe(true)
}

/** A client that holds no session while it is idle, and has run these. */
async function clientWith(...texts: string[]): Promise<pg.Client> {
  const client = new pool.driver.Client()
  await client.connect()
  for (const text of texts) await client.query(text).catch(() => {})
  return client as unknown as pg.Client
}

/** What a client finds on the replica and on the primary. */
async function tenantsOf(client: pg.Client): Promise<(string | null)[]> {
  const read = async () => (await client.query(TENANT)).rows[0]?.it
  return [await useReplica(read), await usePrimary(read)]
}

describe('a transaction that has set `two`, of one who had set `mine`', () => {
  test.each([
    [
      'mine',
      ['savepoint a', "set app.tenant = 'two'", 'savepoint a', 'release a', 'rollback to a', 'commit'],
    ],
    ['two', ["set app.tenant = 'two'", 'savepoint a', 'release savepoint a', 'commit']],
    ['mine', ['savepoint a', "set app.tenant = 'two'", 'rollback to a; select 1', 'commit']],
    ['mine', ['savepoint a', "set app.tenant = 'two'", 'rollback to a; commit']],
    [
      'two',
      [
        "set app.tenant = 'two'",
        'savepoint a; select 1',
        "set app.tenant = 'three'",
        'rollback to a',
        'commit',
      ],
    ],
    ['mine', ["set app.tenant = 'two'", 'rollback and chain', 'commit']],
    ['mine', ["set app.tenant = 'two'", 'abort and chain', 'commit']],
    ['two', ["set app.tenant = 'two'", 'commit and chain', 'rollback']],
    ['mine', ["set app.tenant = 'two'", 'rollback; begin', 'commit']],
    ['two', ["set app.tenant = 'two'", 'commit; begin', 'rollback']],
    ['mine', ["set app.tenant = 'two'", 'select 1 / 0', 'commit; select 1']],
    ['mine', ["set app.tenant = 'two'", 'select 1 / 0', 'rollback; begin', 'commit']],
  ])('leaves `%s` after %j', async (left, texts) => {
    for (const begin of ['begin', 'begin read only']) {
      const client = await clientWith("set app.tenant = 'mine'", begin, ...texts)
      expect(await tenantsOf(client)).toEqual([left, left])
      await client.end()
      const nobody = await clientWith()
      expect((await tenantsOf(nobody)).map((it) => it || null)).toEqual([null, null])
      await nobody.end()
    }
  })

  test('leaves nobody knows what where several statements in one text were refused', async () => {
    const texts = ["set app.tenant = 'two'", 'savepoint b', "set app.tenant = 'three'"]
    const client = await clientWith("set app.tenant = 'mine'", 'begin', ...texts)
    await expect(client.query('release b; select 1 / 0')).rejects.toThrow('division by zero')
    await expect(client.query('rollback')).rejects.toMatchObject({
      code: 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME',
    })
    await client.end()
  })
})

test.each(['a client of its own', 'a lent client'])(
  'what %s sets by a statement’s name alone is there for nobody else',
  async (which) => {
    await usePrimary(async () => {
      const client = which === 'a lent client' ? await pool.connect() : await clientWith()
      const text = 'select set_config($1, $2, false)'
      await client.query({ name: 'set it', text, values: ['app.other', 'one'] })
      await client.query({ name: 'set it', values: ['app.tenant', 'two'] } as unknown as pg.QueryConfig)
      if ('release' in client) (client as pg.PoolClient).release()
      else await client.end()
      const nobody = await clientWith()
      const { rows } = await nobody.query(TENANT)
      expect(rows[0]?.it || null).toBe(null)
      await nobody.end()
    })
  },
)

test('values are those that were sent, whatever their caller does to them meanwhile', async () => {
  const client = await clientWith()
  const values = ['app.tenant', 'one']
  const setting = client.query('select set_config($1, $2, false)', values)
  values[1] = 'two'
  await setting
  const [onReplica, onPrimary] = await tenantsOf(client)
  expect(onPrimary).toBe(onReplica)
  await client.end()
})

test.each([
  `app.${'n'.repeat(64)}`,
  `${'n'.repeat(64)}.tenant`,
  'app.\u00c9T\u00c9', // É, of which PostgreSQL makes no é
  'app.tenant\u212a', // the sign for Kelvin, which is a k in lower case
])('what is set by the name %s is there for nobody else', async (name) => {
  const texts = [`select set_config('${name}', 'one', false)`, `set ${name} to 'two'`]
  for (const set of [...texts, { text: 'select set_config($1, $2, false)', values: [name, 'three'] }]) {
    const client = await clientWith()
    await client.query(set)
    const read = { text: 'select current_setting($1, true) as it', values: [name] }
    const its = (await client.query(read)).rows[0]?.it
    // A text is cut to what a name may have.
    if (!name.includes('n'.repeat(64)) || set !== texts[1]) expect(its).toMatch(/one|two|three/)
    await client.end()
    for (const where of [useReplica, usePrimary]) {
      expect((await where(() => pool.query(read))).rows[0]?.it || null).toBe(null)
    }
  }
})

test('half a `datestyle` is not laid over that of another', async () => {
  const one = await clientWith("set datestyle to 'German'")
  await useReplica(() => one.query('select 1'))
  const two = await clientWith("set datestyle to 'YMD'")
  expect((await useReplica(() => two.query('show datestyle'))).rows).toEqual([{ DateStyle: 'ISO, YMD' }])
  for (const client of [one, two]) await client.end()
})

describe('a session that cannot be set to anything is closed once it was set', () => {
  test('that of a client which sends more before it is answered', async () => {
    await open({ pipeline: true } as pg.PoolConfig)
    const client = await pool.connect()
    await client.query("set app.tenant = 'mine'")
    expect((await client.query(TENANT)).rows).toEqual([{ it: 'mine' }])
    client.release()
    expect((await usePrimary(() => pool.query(TENANT))).rows).toEqual([{ it: null }])
  })

  test('that of a client which the application had before', async () => {
    const primary = new pg.Pool({ connectionString: cluster.primary.connectionString, max: 1 })
    await primary.query('select 1')
    const over = new PrimaryReplicaPool({ primary, replicas: [] })
    atEnd(() => over.end())
    const client = await over.connect()
    await client.query("set app.tenant = 'mine'")
    client.release()
    expect((await over.query(TENANT)).rows).toEqual([{ it: null }])
  })
})
