import pg from 'pg'
import Cursor from 'pg-cursor'
import { beforeEach, describe, expect, test } from 'vitest'
import { useReplica } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { useShop } from '../support/shop.ts'

// What a client has set is laid on a session in front of its next statement, in the same message.
const { cluster, atEnd } = useShop()

/** How often the one session of the replica said that it is ready for more: each is a round trip. */
let roundTrips: number
/** What it was sent in the extended protocol. */
let texts: string[]
let pool: PrimaryReplicaPool

beforeEach(async () => {
  roundTrips = 0
  texts = []
  const connectionString = cluster.replicas[0]?.connectionString
  const replica = new pg.Pool({ connectionString, max: 1 })
  replica.on('connect', (client) => watch(client as unknown as Watched))
  pool = new PrimaryReplicaPool({ primary: cluster.primary.connectionString, replicas: [replica] })
  atEnd(() => pool.end())
  await pool.ready()
})

type Watched = { readonly connection: pg.Connection & { parse(message: { text: string }): void } }

function watch({ connection }: Watched): void {
  connection.on('readyForQuery', () => roundTrips++)
  const { parse } = connection
  connection.parse = (message) => {
    texts.push(message.text)
    parse.call(connection, message)
  }
}

/** A client that holds no session while it is idle, and has run these. */
async function clientWith(...statements: string[]): Promise<pg.Client> {
  const client = new pool.driver.Client()
  await client.connect()
  atEnd(() => client.end())
  for (const text of statements) await onReplica(client, text)
  return client
}

const onReplica = (client: pg.Client, text: string, values?: unknown[]) =>
  useReplica(async () => (await client.query(text, values)).rows[0])

/** What the session was sent before the statement, and how often it was waited for. */
async function during(work: () => Promise<unknown>) {
  roundTrips = 0
  texts = []
  await work()
  return { roundTrips, laid: texts.filter((text) => !text.startsWith('select current_setting')) }
}

const THREE = ["set app.tenant = 'one'", "set timezone to 'Asia/Tokyo'", 'set jit to off']
const TENANT = "select current_setting('app.tenant', true) as it, $1::int as n"

describe('between two clients of one session', () => {
  test('what differs is said in the message of the statement, and nothing waits for it', async () => {
    const one = await clientWith("set app.tenant = 'one'", "set timezone to 'Asia/Tokyo'")
    const two = await clientWith("set timezone to 'Asia/Tokyo'", "set app.tenant = 'two'")
    const seen = await during(async () => {
      expect(await onReplica(one, TENANT, [1])).toEqual({ it: 'one', n: 1 })
    })
    expect(seen).toEqual({
      roundTrips: 1,
      laid: ['begin isolation level read committed', `set "app"."tenant" to 'one'`, 'commit'],
    })
    expect(await onReplica(two, TENANT, [2])).toEqual({ it: 'two', n: 2 })
  })

  test('where they agree nothing is said', async () => {
    const [one, two] = [await clientWith(...THREE), await clientWith(...THREE)]
    const seen = await during(async () => {
      for (const client of [one, two, one]) await onReplica(client, TENANT, [1])
    })
    expect(seen).toEqual({ roundTrips: 3, laid: [] })
  })

  test('whoever has set nothing has what was set taken back', async () => {
    const [one, nobody] = [await clientWith(...THREE), await clientWith()]
    await onReplica(one, TENANT, [1])
    const seen = await during(async () => {
      expect(await onReplica(nobody, TENANT, [1])).toEqual({ it: '', n: 1 })
    })
    expect(seen.roundTrips).toBe(1)
    expect(seen.laid).toEqual([
      ...['begin isolation level read committed', 'reset "app"."tenant"', 'reset "timezone"', 'reset "jit"'],
      'commit',
    ])
  })

  test('nobody who sets nothing is told anything', async () => {
    const [one, two] = [await clientWith(), await clientWith()]
    const seen = await during(async () => {
      for (const client of [one, two]) await onReplica(client, TENANT, [1])
    })
    expect(seen).toEqual({ roundTrips: 2, laid: [] })
  })
})

describe('it is in front of', () => {
  const text = "select current_setting('app.tenant', true) as it"
  const FORMS: Record<string, (client: pg.Client) => Promise<unknown>> = {
    'a text without values': async (client) => (await client.query(text)).rows[0]?.it,
    'a text of several statements': async (client) => {
      const results = (await client.query(`select 1; ${text}`)) as unknown as pg.QueryResult[]
      return results[1]?.rows[0]?.it
    },
    'a statement with a name, which the session has already': async (client) => {
      await client.query({ name: 'tenant', text })
      const nobody = await clientWith()
      await nobody.query({ name: 'tenant', text })
      return (await client.query({ name: 'tenant', text })).rows[0]?.it
    },
    'a cursor': async (client) => {
      const cursor = client.query(new Cursor<{ it: string }>(text))
      const rows = await cursor.read(1)
      await cursor.close()
      return rows[0]?.it
    },
    'a query object': async (client) => {
      const query = new pg.Query<{ it: string }>(text) as unknown as pg.Query
      const rows: { it: string }[] = []
      query.on('row', (row) => rows.push(row as { it: string }))
      await new Promise((resolve, reject) => {
        query.on('end', resolve)
        query.on('error', reject)
        client.query(query)
      })
      return rows[0]?.it
    },
    'a transaction': async (client) => {
      await client.query('begin read only')
      const { rows } = await client.query(text)
      await client.query('commit')
      return rows[0]?.it
    },
  }

  test.each<[string, (client: pg.ClientBase, config: pg.QueryConfig) => Promise<pg.QueryResult>]>([
    ['a statement', (client, config) => client.query(config)],
    [
      'a query object',
      (client, config) =>
        new Promise((resolve, reject) => {
          const then = (error: unknown, result: pg.QueryResult) => (error ? reject(error) : resolve(result))
          client.query(new pg.Query(config, then as never) as never)
        }),
    ],
  ])('%s with a name, which the session has read for another client', async (what, ask) => {
    const text = "select '2020-01-01'::timestamptz::text || current_setting('timezone') as it"
    const zones = ['UTC', 'Asia/Tokyo', 'UTC']
    const seen: unknown[] = []
    for (const zone of zones) {
      const client = await clientWith(`set timezone to '${zone}'`)
      seen.push((await useReplica(() => ask(client, { name: `date of ${what}`, text }))).rows[0]?.it)
    }
    expect(seen).toEqual([
      '2020-01-01 00:00:00+00UTC',
      '2020-01-01 00:00:00+09Asia/Tokyo',
      '2020-01-01 00:00:00+00UTC',
    ])
  })

  test.each(Object.entries(FORMS))('%s', async (_name, tenantOf) => {
    const one = await clientWith("set app.tenant = 'one'")
    await clientWith("set app.tenant = 'two'")
    expect(await useReplica(() => tenantOf(one))).toBe('one')
  })

  test.each(Object.entries(FORMS))('%s, which does not run where it is refused', async (_name, tenantOf) => {
    const one = await clientWith("set app.tenant = 'one'")
    await cluster.primary.query('create role short_lived')
    await cluster.waitForCatchup()
    await onReplica(one, 'set role short_lived')
    await cluster.primary.query('drop role short_lived')
    await cluster.waitForCatchup()
    const nobody = await clientWith()
    await onReplica(nobody, 'select 1')
    await expect(useReplica(() => tenantOf(one))).rejects.toThrow('role "short_lived" does not exist')
    expect(await onReplica(nobody, TENANT, [1])).toMatchObject({ n: 1 })
  })
})
