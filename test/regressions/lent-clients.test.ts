import { once } from 'node:events'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { describe, expect, test } from 'vitest'
import { markWrite, usePrimary } from 'write-pinning'
import { PrimaryReplicaPool, toPrimary } from 'write-pinning/pg'
import type { PostgresNode } from 'write-pinning/testing'
import { APPLICATION } from '../clients/client.ts'
import { busyOf, openingPools } from '../support/pools.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { clientsOf } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'
import { withResolvers } from '../support/with-resolvers.ts'

// A client that the pool lends is used as one of `pg`'s: its methods are handed around, and it is given back and ended at any moment.
const { cluster, atEnd } = useShop()
const openPool = openingPools({ cluster, atEnd })
const SERIES = 'select n from generate_series(1, 1000) as n'

const isRunning = (node: PostgresNode, text: string) =>
  expect
    .poll(async () =>
      (await clientsOf(node, APPLICATION)).some(
        ({ state, query }) => state === 'active' && query.includes(text),
      ),
    )
    .toBe(true)

/** What a promise fails with. */
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => undefined,
    (error: Error) => error.message,
  )

describe('release()', () => {
  test('can be called by whoever it is handed to', async () => {
    const pool = await openPool()
    const client = await pool.connect()
    await client.query('select 1').finally(client.release)
    await expect.poll(() => busyOf(pool)).toEqual([0, 0])
  })

  test('with `true` gives back what has an open cursor', async () => {
    const pool = await openPool()
    const client = await pool.connect()
    client.on('error', () => {})
    expect(await client.query(new Cursor(SERIES)).read(1)).toHaveLength(1)
    client.release(true)
    await expect.poll(() => busyOf(pool)).toEqual([0, 0])
  })

  test('with `true` ends the query that runs', async () => {
    const pool = await openPool()
    const client = await pool.connect()
    client.on('error', () => {})
    const failure = failureOf(usePrimary(() => client.query('select pg_sleep(20)')))
    await isRunning(cluster.primary, 'pg_sleep(20)')
    client.release(true)
    expect(await failure).toMatch(/terminated/i)
    await expect.poll(() => busyOf(pool)).toEqual([0, 0])
  })

  test('of what has an open cursor keeps the pool from ending only for a moment', async () => {
    const pool = await openPool()
    const client = await pool.connect()
    client.on('error', () => {})
    expect(await client.query(new Cursor(SERIES)).read(1)).toHaveLength(1)
    client.release()
    await pool.end()
    expect(pool.ended).toBe(true)
  })
})

test('end() has what is queued fail, and nothing of it runs', async () => {
  const pool = await openPool()
  const client = await pool.connect()
  let ends = 0
  client.on('error', () => {})
  client.on('end', () => ends++)
  const failures = ["select 'queue', pg_sleep(2)", "insert into item (name) values ('queued')"].map((text) =>
    failureOf(usePrimary(() => client.query(text))),
  )
  await isRunning(cluster.primary, "'queue'")
  const ended = (client as unknown as pg.Client).end()
  expect(await Promise.all(failures)).toEqual(['Connection terminated', 'Connection terminated'])
  await ended
  client.release()
  await pool.end()
  expect(ends).toBe(1)
  expect(await cluster.primary.query("select from item where name = 'queued'")).toEqual([])
})

describe('a configuration', () => {
  /** What makes its text as it is asked for it, as sql-template-strings does. */
  class Template {
    readonly values = []
    get text() {
      return 'select 1::int8 as n'
    }
  }

  test('that is used again is sent as it was when it was given', async () => {
    const pool = await openPool()
    const client = await pool.connect()
    const config = { text: 'select $1::int as n', values: [0] }
    const answers = [0, 1, 2, 3].map((n) => {
      config.values = [n]
      return client.query<{ n: number }>(config)
    })
    expect((await Promise.all(answers)).map(({ rows: [row] }) => row?.n)).toEqual([0, 1, 2, 3])
    client.release()
  })

  test('whose text is a getter can be marked', async () => {
    const pool = await openPool()
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        expect((await pool.query(toPrimary(new Template()))).rows).toEqual([{ n: '1' }])
      }),
    )
    expect(routes).toEqual(['primary: mark'])
  })

  test('whose text is a getter can be sent by a client that was given parsers', async () => {
    const pool = await openPool()
    const client = await pool.connect()
    client.setTypeParser(20, Number)
    expect((await client.query(new Template())).rows).toEqual([{ n: 1 }])
    client.release()
  })
})

describe('the events of a client', () => {
  test('are heard in the request of whoever has it', async () => {
    const pool = await openPool({ max: 1 })
    const [opener, listener] = [openRequest(), openRequest()]
    await opener.run(() => usePrimary(() => pool.query('select 1')))
    await listener.run(async () => {
      const client = await pool.connect()
      await client.query('listen news')
      client.on('notification', markWrite)
      const heard = once(client, 'notification')
      await cluster.primary.query('notify news')
      await heard
      await client.query('unlisten *')
      client.release()
    })
    expect([opener.memory.markedWrite, listener.memory.markedWrite]).toEqual([false, true])
  })

  test('tell nothing of a connection whose query another node has done', async () => {
    const replica = cluster.replicas[0] as PostgresNode
    const proxy = await TcpProxy.start(replica)
    atEnd(() => proxy.stop())
    const { connectionString } = proxy
    const pool = await openPool({}, { replicas: [{ connectionString, application_name: APPLICATION }] })
    const errors: Error[] = []
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        const client = await pool.connect()
        client.on('error', (error) => errors.push(error))
        const answer = client.query('select pg_sleep(case when pg_is_in_recovery() then 20 else 0 end)')
        await isRunning(replica, 'pg_sleep(case')
        proxy.cut()
        expect((await answer).rows).toHaveLength(1)
        client.release()
      }),
    )
    expect(routes.map((route) => route.split(':')[0])).toEqual(['replica', 'primary'])
    expect(errors).toEqual([])
  })
})

test('a pool that ends while it opens leaves no session on the servers', async () => {
  const opened = withResolvers<void>()
  const begun = withResolvers<void>()
  const application_name = 'ends early'
  let primary: pg.Pool | undefined
  const pool = new PrimaryReplicaPool({
    primary: async () => {
      begun.resolve()
      await opened.promise
      primary = new pg.Pool({ connectionString: cluster.primary.connectionString, application_name })
      return primary
    },
    replicas: [{ connectionString: cluster.replicas[0]?.connectionString, application_name }],
    probeIntervalMs: 50,
  })
  const ready = failureOf(pool.ready())
  await begun.promise
  const ended = pool.end()
  opened.resolve()
  await Promise.all([ready, ended])
  expect([pool.ended, primary?.ended]).toEqual([true, true])
  for (const node of cluster.nodes) {
    for (const name of [application_name, 'write-pinning']) {
      await expect.poll(() => clientsOf(node, name)).toEqual([])
    }
  }
})
