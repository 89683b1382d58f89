import { once } from 'node:events'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { startShop } from '../support/cluster.ts'
import { terminateClients } from '../support/server-clients.ts'

// What is done with a routed client is done with one of `pg`'s, too: to whoever looks, both are the same.
const cluster = await startShop(1)
await cluster.primary.query("insert into item (name) values ('lamp'), ('chair')")
await cluster.waitForCatchup()

const pool = new PrimaryReplicaPool({
  primary: { connectionString: cluster.primary.connectionString, application_name: 'driver' },
  replicas: [{ connectionString: cluster.replicas[0]?.connectionString, application_name: 'driver' }],
  withoutContext: 'replica',
})

beforeAll(async () => {
  await pool.ready()
})

afterEach(() => expect.poll(() => pool.status().nodes.map(({ busy }) => busy)).toEqual([0, 0]))

afterAll(async () => {
  await pool.end()
  await cluster.stop()
})

const modules = { pg: pg, 'the driver': pool.driver }

/** What a call came to: what it gave, or its error. */
const cameTo = (given: unknown) =>
  Promise.resolve(given).then(
    (result) => ({ result: shown(result) }),
    (error: Error) => ({ error: error.message }),
  )
const shown = (result: unknown): unknown =>
  Array.isArray(result) ? result.map(shown) : ((result as pg.QueryResult | undefined)?.rows ?? result)

/** Does the same with a client of each module, and gives what came of it. */
async function both(does: (client: pg.Client) => unknown, config: object = {}): Promise<unknown[]> {
  const outcomes: unknown[] = []
  for (const module of Object.values(modules)) {
    const client = new module.Client({ connectionString: cluster.primary.connectionString, ...config })
    client.on('error', () => {})
    outcomes.push(await does(client))
    await client.end()
  }
  return outcomes
}

const READ = 'select name from item order by id'

const connected: Record<string, (client: pg.Client) => unknown> = {
  'a text': (client) => client.query(READ),
  'several texts at once': (client) => Promise.all([client.query(READ), client.query('select 1 as one')]),
  'several statements in one text': (client) => client.query(`${READ}; select 2 as two`),
  values: (client) => client.query('select $1::int as it', [1]),
  'a name': (client) => client.query({ name: 'it', text: 'select $1::int as it', values: [1] }),
  'a callback': (client) =>
    new Promise((resolve) => client.query(READ, (error, result) => resolve([error, result.rows]))),
  'an error': (client) => client.query('select nothing from nowhere'),
  'an error, and a query after it': async (client) => {
    const failed = await cameTo(client.query('select 1 / 0'))
    return [failed, shown(await client.query(READ))]
  },
  nothing: (client) => cameTo((async () => client.query(undefined as never))()),
  'a cursor': async (client) => {
    const cursor = client.query(new Cursor(READ))
    const rows = [await cursor.read(1), await cursor.read(10)]
    await cursor.close()
    return [rows, shown(await client.query('select 1 as one'))]
  },
  'a query of pg': (client) =>
    new Promise((resolve, reject) => {
      const query = client.query(new pg.Query(READ))
      const rows: unknown[] = []
      query.on('row', (row) => rows.push(row))
      query.on('end', () => resolve(rows))
      query.on('error', reject)
    }),
  'a connect that is its second': (client) => client.connect(),
  'transaction states': async (client) => {
    const states = [client.getTransactionStatus()]
    for (const text of ['begin', 'select 1', 'rollback']) {
      await client.query(text)
      states.push(client.getTransactionStatus())
    }
    return states
  },
  'a drain': async (client) => {
    const drained = once(client, 'drain')
    await client.query(READ)
    return await drained
  },
}

describe('a routed client answers as one of pg does to', () => {
  it.each(Object.entries(connected))('%s', async (_name, does) => {
    const [plain, routed] = await both(async (client) => {
      await client.connect()
      return await cameTo(does(client))
    })
    expect(routed).toEqual(plain)
  })

  it.each(
    Object.entries<(client: pg.Client) => unknown>({
      'a query before it is connected': async (client) => {
        const early = client.query(READ)
        await client.connect()
        return await early
      },
      'a connect with a callback': (client) =>
        new Promise((resolve) => client.connect((...given: unknown[]) => resolve([given[0] ?? null]))),
      'a connect': async (client) => {
        const told = once(client, 'connect')
        await client.connect()
        await told
        return (client as unknown as { _connected: boolean })._connected
      },
      'an end': async (client) => {
        await client.connect()
        const ended = once(client, 'end')
        await client.end()
        return await ended
      },
      'two ends': async (client) => {
        await client.connect()
        return [await client.end(), await client.end()]
      },
      'an end with a callback': async (client) => {
        await client.connect()
        return await new Promise((resolve) => client.end(() => resolve('ended')))
      },
      'a query after its end': async (client) => {
        await client.connect()
        await client.end()
        return await client.query(READ)
      },
      'a connect that is ended meanwhile': async (client) => {
        const ended = once(client, 'end')
        client.connect(() => {})
        await client.end()
        await ended
        return await client.query(READ)
      },
      'an end while queries are under way': async (client) => {
        await client.connect()
        const queries = [client.query('select pg_sleep(60)'), client.query(READ)].map(cameTo)
        await client.end()
        return await Promise.all(queries)
      },
    }),
  )('%s', async (_name, does) => {
    const [plain, routed] = await both((client) => cameTo(does(client)))
    expect(routed).toEqual(plain)
  })

  it.each([
    ['types', { types: { getTypeParser: () => (value: unknown) => `<${value}>` } }],
    ['query_timeout', { query_timeout: 50 }],
    ['binary', { binary: true }],
  ])('its configuration: %s', async (_name, config) => {
    const [plain, routed] = await both(async (client) => {
      await client.connect()
      return [
        await cameTo(client.query('select 1 as one')),
        await cameTo(client.query('select pg_sleep(0.2)')),
      ]
    }, config)
    expect(routed).toEqual(plain)
  })

  it('a backend that is terminated under a query, and the queries behind it', async () => {
    const [plain, routed] = await both(async (client) => {
      await client.connect()
      const lost = once(client, 'error')
      await client.query('begin')
      const queries = [client.query('select pg_sleep(61)'), client.query(READ)].map(cameTo)
      await expect.poll(() => running('pg_sleep(61)')).toBe(1)
      await cluster.primary.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where query like 'select pg_sleep(61)%'",
      )
      const [error] = await lost
      const [first] = await Promise.all(queries)
      return [first, error instanceof Error, await cameTo(client.query(READ))]
    })
    expect(routed).toEqual(plain)
  })
})

describe('a routed client', () => {
  const withClient = async <T>(work: (client: pg.Client) => Promise<T>): Promise<T> => {
    const client = new pool.driver.Client()
    client.on('error', () => {})
    await client.connect()
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }
  const busy = () => pool.status().nodes.map((node) => node.busy)

  it('holds no session while it is idle, and one in a transaction', () =>
    withClient(async (client) => {
      await client.query(READ)
      expect(busy()).toEqual([0, 0])
      await client.query("insert into item (name) values ('bed')")
      expect(busy()).toEqual([0, 0])
      await client.query('begin')
      expect(busy()).toEqual([1, 0])
      await client.query('commit')
      expect(busy()).toEqual([0, 0])
    }))

  it('keeps the session that has something of it, and has it closed in the end', async () => {
    const pid = await withClient(async (client) => {
      await client.query('create temporary table basket (id int)')
      expect(busy()).toEqual([1, 0])
      const { rows } = await client.query('select count(*)::int as n, pg_backend_pid() as pid from basket')
      expect(rows[0].n).toBe(0)
      const { processID } = client as unknown as { processID: number }
      expect(processID).toBe(rows[0].pid)
      return processID
    })
    await expect
      .poll(() => cluster.primary.query('select 1 from pg_stat_activity where pid = $1', [pid]))
      .toEqual([])
  })

  it('gives the session back that has been cleared', () =>
    withClient(async (client) => {
      await client.query('listen news')
      expect(busy()).toEqual([1, 0])
      await client.query('discard all')
      expect(busy()).toEqual([0, 0])
    }))

  it('that loses the session with something of it is as one of pg is then: it says so, and takes no query', () =>
    withClient(async (client) => {
      await client.query('listen news')
      const told = Promise.all([
        new Promise((resolve) => client.once('error', resolve)),
        new Promise<void>((resolve) => client.once('end', resolve)),
      ])
      await terminateClients(cluster.primary)
      await told
      await expect(client.query(READ)).rejects.toThrow('not queryable')
    }))

  it('does not guess which value of a sequence was taken last, and knows in the transaction that took it', () =>
    withClient(async (client) => {
      await client.query("insert into item (name) values ('shelf')")
      const asked = client.query('select lastval()')
      await expect(asked).rejects.toMatchObject({
        code: '55000',
        message: expect.stringContaining('returning'),
      })
      await client.query('begin')
      const { rows } = await client.query("insert into item (name) values ('lastval()') returning id")
      expect((await client.query('select lastval()::int as id')).rows).toEqual(rows)
      await client.query('commit')
      await client.query("insert into item (name) values ('a'); select lastval()")
    }))

  it('hears notifications and notices', () =>
    withClient(async (client) => {
      const notified = once(client, 'notification')
      const noticed = once(client, 'notice')
      await client.query('listen news')
      await client.query("notify news, 'hello'")
      await client.query("do $$ begin raise notice 'look'; end $$")
      expect((await notified)[0].payload).toBe('hello')
      expect((await noticed)[0].message).toBe('look')
    }))

  it('has names of its own for its statements, whatever session serves them', async () => {
    const clients = [new pool.driver.Client(), new pool.driver.Client()]
    const rows: unknown[] = []
    for (const [n, client] of clients.entries()) {
      await client.connect()
      await client.query({ name: 'its', text: `select ${n}::int as n, $1::int as m`, values: [1] })
    }
    for (const client of clients) {
      for (const m of [2, 3]) {
        const { rows: its } = await client.query({ name: 'its', values: [m] } as unknown as pg.QueryConfig)
        rows.push(its[0])
      }
      await client.end()
    }
    expect(rows).toEqual([
      { n: 0, m: 2 },
      { n: 0, m: 3 },
      { n: 1, m: 2 },
      { n: 1, m: 3 },
    ])
  })

  it('has them for the queries that are objects of pg, too', async () => {
    const clients = [new pool.driver.Client(), new pool.driver.Client()]
    const rows: unknown[] = []
    const ask = (client: pg.Client, config: object) =>
      new Promise((resolve, reject) => {
        const query = new pg.Query(
          config as never,
          ((error: unknown, result: pg.QueryResult) =>
            error ? reject(error) : resolve([result.rows[0], its.name])) as never,
        )
        const its = query as unknown as { name: string }
        client.query(query as never)
      })
    for (const [n, client] of clients.entries()) {
      await client.connect()
      await ask(client, { name: 'one', text: `select ${n}::int as n, $1::int as m`, values: [1] })
    }
    for (const client of clients) {
      for (const m of [2, 3]) rows.push(await ask(client, { name: 'one', values: [m] }))
      await client.end()
    }
    expect(rows).toEqual([
      [{ n: 0, m: 2 }, 'one'],
      [{ n: 0, m: 3 }, 'one'],
      [{ n: 1, m: 2 }, 'one'],
      [{ n: 1, m: 3 }, 'one'],
    ])
  })

  it('tells of a server where somebody wants to hear of it while it connects', async () => {
    const client = new pool.driver.Client()
    const heard: Record<string, string> = {}
    const { connection } = client as unknown as { connection: import('node:events').EventEmitter }
    connection.on('parameterStatus', ({ parameterName, parameterValue }) => {
      heard[parameterName] = parameterValue
    })
    await client.connect()
    expect(heard).toEqual({
      server_version: expect.stringMatching(/^\d+/),
      standard_conforming_strings: 'on',
    })
    await client.end()
  })
})

async function running(text: string): Promise<number> {
  const rows = await cluster.primary.query(
    "select 1 from pg_stat_activity where state = 'active' and query like 'select ' || $1 || '%'",
    [text],
  )
  return rows.length
}
