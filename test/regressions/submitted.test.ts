import { once } from 'node:events'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { setTimeout as wait } from 'node:timers/promises'
import pg from 'pg'
import { from, to } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { describe, expect, test } from 'vitest'
import { markWrite, usePrimary, useReplica } from 'write-pinning'
import type { PrimaryReplicaPool } from 'write-pinning/pg'
import { busyOf, openingPools } from '../support/pools.ts'
import { inRequest, openRequest, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { uncaughtBy } from '../support/uncaught.ts'

// A cursor, a stream, a COPY or a `Query` of `pg`'s sends its messages itself, and is told of what comes back piece by piece.
const openPool = openingPools(useShop())
const MANY = 'select n from generate_series(1, 100000) as n'

describe('a read after a write', () => {
  const writes: Record<string, (pool: PrimaryReplicaPool, client: pg.PoolClient) => Promise<unknown>> = {
    'a COPY': (_pool, client) =>
      pipeline(Readable.from(['lamp\n']), client.query(from('copy item (name) from stdin'))),
    'a `Query` that the pool sends': (pool) =>
      pool.query(new pg.Query("insert into item (name) values ('lamp')") as never),
    'a cursor that is closed early': async (_pool, client) => {
      const cursor = client.query(
        new Cursor("insert into item (name) values ('lamp'), ('desk') returning id"),
      )
      expect(await cursor.read(1)).toHaveLength(1)
      await cursor.close()
    },
  }

  test.each(Object.entries(writes))('sees it at once: %s', async (_what, write) => {
    const pool = await openPool()
    const routes = await whereAndWhyInRequest(async () => {
      const client = await pool.connect()
      await write(pool, client)
      await pool.query('select 1')
      client.release()
    })
    expect(routes).toEqual(['primary: write', 'primary: own-write'])
  })
})

describe('a stream', () => {
  test('that is destroyed early leaves nothing to whoever has the connection next', async () => {
    const pool = await openPool({ max: 1 })
    await usePrimary(async () => {
      // The connection is there, so that the stream is submitted at once.
      await pool.query('select 1')
      const client = await pool.connect()
      const stream = client.query(new QueryStream(MANY))
      stream.on('data', () => {})
      setImmediate(() => stream.destroy())
      await once(stream, 'close')
      client.release()
    })
    const { rows } = await inRequest(() =>
      pool.query("insert into item (name) values ('lamp') returning 1 as one"),
    )
    expect(rows).toEqual([{ one: 1 }])
  })

  test('that is destroyed before it is submitted gives its connection back', async () => {
    const pool = await openPool()
    const client = await pool.connect()
    const stream = client.query(new QueryStream(MANY))
    stream.destroy()
    await once(stream, 'close')
    client.release()
    await expect.poll(() => busyOf(pool)).toEqual([0, 0])
  })

  test('may be read more slowly than `readTimeoutMs`', async () => {
    const pool = await openPool({}, { readTimeoutMs: 500 })
    let rows = 0
    await inRequest(async () => {
      const client = await pool.connect()
      const stream = client.query(new QueryStream(MANY, [], { batchSize: 50_000 }))
      for await (const _ of stream) if (rows++ === 0) await wait(700)
      client.release()
    })
    expect(rows).toBe(100_000)
  })
})

describe('what is called as the answer comes in runs in the request that asked', () => {
  const ways: Record<string, (client: pg.PoolClient, heard: () => void) => Promise<unknown>> = {
    'the rows of a stream': async (client, heard) => {
      const stream = client.query(new QueryStream('select 1'))
      stream.on('data', heard)
      await once(stream, 'close')
    },
    'the callback of a cursor': async (client, heard) => {
      const cursor = client.query(new Cursor('select 1'))
      await new Promise<void>((resolve) => {
        cursor.read(1, () => {
          heard()
          resolve()
        })
      })
      await cursor.close()
    },
    'the callback of a `Query`': (client, heard) =>
      new Promise<void>((resolve) => {
        const query = new pg.Query('select 1', (() => {
          heard()
          resolve()
        }) as never)
        client.query(query as never)
      }),
  }

  test.each(Object.entries(ways))('%s', async (_what, ask) => {
    const pool = await openPool({ max: 1 })
    const [opener, asker] = [openRequest(), openRequest()]
    // What comes from a socket runs in the context of whoever opened it, unless somebody sees to that.
    await opener.run(() => useReplica(() => pool.query('select 1')))
    await asker.run(async () => {
      const client = await pool.connect()
      await ask(client, markWrite)
      client.release()
    })
    expect([opener.memory.markedWrite, asker.memory.markedWrite]).toEqual([false, true])
  })
})

test('a `Query` whose values cannot be sent fails, and the pool serves on', async () => {
  const pool = await openPool()
  const circular: { me?: unknown } = {}
  circular.me = circular
  const query = new pg.Query({ text: 'select $1::json', values: [circular] })
  await expect(pool.query(query as never)).rejects.toThrow(/circular/i)
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
})

test('a cursor that is closed after its error leaves nothing to the COPY that comes next', async () => {
  const pool = await openPool({ max: 1 })
  await usePrimary(async () => {
    const client = await pool.connect()
    const cursor = client.query(new Cursor('select 1 / (3 - n) as n from generate_series(1, 5) as n'))
    expect(await cursor.read(2)).toHaveLength(2)
    await expect(cursor.read(2)).rejects.toMatchObject({ code: '22012' })
    await cursor.close()
    expect(await text(client.query(to('copy (values (1), (2)) to stdout')))).toBe('1\n2\n')
    client.release()
  })
})

test('what waits in vain for the end of its answer ends with the pool', async () => {
  const pool = await openPool()
  const client = await pool.connect()
  const failed = new Promise<unknown>((resolve) => {
    // It never sends the Sync that a server waits for after an error.
    const submitted = {
      submit(
        connection: Record<'parse' | 'bind' | 'execute', (message: object) => void> & { flush(): void },
      ) {
        connection.parse({ text: 'select 1/0' })
        connection.bind({})
        connection.execute({})
        connection.flush()
      },
      handleError: resolve,
      handleReadyForQuery() {},
    }
    client.query(submitted as never)
  })
  expect(await failed).toMatchObject({ code: '22012' })
  client.release()
  await pool.end()
})

test('a cursor uses the parsers that its client was given', async () => {
  const pool = await openPool()
  const client = await pool.connect()
  client.setTypeParser(20, Number)
  const cursor = client.query(new Cursor('select 1::int8 as n'))
  expect(await cursor.read(1)).toEqual([{ n: 1 }])
  await cursor.close()
  client.release()
})

describe('an error that nobody hears is nobody’s, and the pool ends all the same', () => {
  const COPY_TO = 'copy (select generate_series(1, 3)) to stdout'
  const thrown = () => {
    throw new Error('thrown by a listener')
  }
  const ways: Record<string, [ask: (client: pg.PoolClient) => unknown, messages: string[]]> = {
    'of a COPY that is refused': [
      (client) => void client.query(from('copy item (id, nam) from stdin')),
      ['column "nam" of relation "item" does not exist'],
    ],
    'of a COPY that nobody reads': [
      (client) => void client.query(to(COPY_TO)),
      ['Connection terminated unexpectedly'],
    ],
    'of whoever hears its rows': [
      (client) =>
        void client
          .query(to(COPY_TO))
          .on('data', thrown)
          .on('error', () => {}),
      ['thrown by a listener'],
    ],
    'of the callback of a cursor': [
      (client) => client.query(new Cursor('select 1')).read(1, thrown),
      ['thrown by a listener'],
    ],
    'of the callback of a cursor that is refused': [
      (client) => client.query(new Cursor('select no_column')).read(1, thrown),
      ['thrown by a listener'],
    ],
  }

  test.each(Object.entries(ways))('%s', async (_what, [ask, messages]) => {
    const uncaught = await uncaughtBy(async () => {
      const pool = await openPool({ max: 1 })
      const client = await pool.connect()
      client.on('error', () => {})
      ask(client)
      await wait(100)
      client.release()
      await Promise.race([pool.end(), wait(5_000).then(() => Promise.reject(new Error('it never ends')))])
    })
    expect(uncaught).toEqual(messages)
  })
})
