import net from 'node:net'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { failureOf } from '../../src/nodes/error-meaning.ts'
import { useShop } from '../support/shop.ts'

const { cluster } = useShop({
  sql: ["create role app login password 'wrong'", 'create role crowd login connection limit 0'],
})

/** The error of connecting so, or of a statement then. */
async function errorOf(
  config: pg.ClientConfig,
  use?: (client: pg.Client) => Promise<unknown>,
): Promise<unknown> {
  const client = new pg.Client({ connectionString: cluster.replicas[0]?.connectionString, ...config })
  client.on('error', () => {})
  try {
    await client.connect()
    await use?.(client)
  } catch (error) {
    return error
  } finally {
    await client.end().catch(() => {})
  }
  return undefined
}

const url = (path: string) => String(new URL(path, cluster.replicas[0]?.connectionString))

describe('an error of a real server, or of pg, is read as what it is', () => {
  test('a refused connection is lost', async () => {
    const server = net.createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as net.AddressInfo
    await new Promise((resolve) => server.close(resolve))
    expect(failureOf(await errorOf({ connectionString: `postgres://postgres@127.0.0.1:${port}/test` }))).toBe(
      'lost',
    )
  })

  test('a name that does not exist is lost', async () => {
    expect(
      failureOf(await errorOf({ connectionString: 'postgres://postgres@no-such-host.invalid/test' })),
    ).toBe('lost')
  })

  test('a server that never answers is lost', async () => {
    const silent = net.createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    await new Promise((resolve) => silent.once('listening', resolve))
    const { port } = silent.address() as net.AddressInfo
    const connectionString = `postgres://postgres@127.0.0.1:${port}/test`
    expect(failureOf(await errorOf({ connectionString, connectionTimeoutMillis: 50 }))).toBe('lost')
    const pool = new pg.Pool({ connectionString, connectionTimeoutMillis: 50 })
    expect(failureOf(await pool.connect().catch((error: unknown) => error))).toBe('lost')
    await pool.end()
    silent.close()
  })

  test('a terminated backend is lost', async () => {
    const end = (client: pg.Client) => client.query('select pg_terminate_backend(pg_backend_pid())')
    expect(failureOf(await errorOf({}, end))).toBe('lost')
  })

  test('a client that was lost before was never asked', async () => {
    const askAgain = async (client: pg.Client) => {
      await client.query('select pg_terminate_backend(pg_backend_pid())').catch(() => {})
      await new Promise((resolve) => client.once('end', resolve))
      await client.query('select 1')
    }
    expect(failureOf(await errorOf({}, askAgain))).toBe('never-sent')
  })

  test('a client that was closed was never asked', async () => {
    const askAgain = async (client: pg.Client) => {
      await client.end()
      await client.query('select 1')
    }
    expect(failureOf(await errorOf({}, askAgain))).toBe('never-sent')
  })

  test('too many connections are an overload', async () => {
    expect(
      failureOf(
        await errorOf({ user: 'crowd', connectionString: url('/test').replace('postgres@', 'crowd@') }),
      ),
    ).toBe('overload')
  })

  test('a pool that is exhausted is an overload', async () => {
    const pool = new pg.Pool({ connectionString: url('/test'), max: 1 })
    const client = await pool.connect()
    pool.options.connectionTimeoutMillis = 50
    expect(failureOf(await pool.connect().catch((error: unknown) => error))).toBe('overload')
    client.release()
    await pool.end()
  })

  test('a database or a role that does not exist is misconfigured', async () => {
    expect(failureOf(await errorOf({ connectionString: url('/nothing') }))).toBe('misconfigured')
    expect(failureOf(await errorOf({ connectionString: url('/test').replace('postgres@', 'nobody@') }))).toBe(
      'misconfigured',
    )
  })

  const statements: [string, ReturnType<typeof failureOf>][] = [
    ['insert into item (name) values (1)', 'misrouted'],
    ["select nextval('item_id_seq')", 'misrouted'],
    ['select * from no_such_table', 'misrouted'],
    ['select no_such_column from item', 'misrouted'],
    ['select no_such_function()', 'misrouted'],
    ['select pg_current_wal_lsn()', 'misrouted'],
    ['select 1 / 0', 'other'],
    ['select nonsense nonsense nonsense', 'other'],
    ["select 'x'::int", 'other'],
  ]
  test.each(statements)('%s: %s', async (sql, failure) => {
    expect(failureOf(await errorOf({}, (client) => client.query(sql)))).toBe(failure)
  })

  test('a statement that was cancelled, or took too long, is its own affair', async () => {
    const slow = (client: pg.Client) => client.query('select pg_sleep(5)')
    expect(failureOf(await errorOf({ statement_timeout: 50 }, slow))).toBe('other')
    expect(failureOf(await errorOf({ query_timeout: 50 }, slow))).toBe('other')
  })
})

test('PgBouncer’s one code is read by its words', () => {
  const said = (message: string) => failureOf(Object.assign(new Error(message), { code: '08P01' }))
  expect(said('no more connections allowed (max_client_conn)')).toBe('overload')
  expect(said('query_wait_timeout')).toBe('overload')
  expect(said('server login has been failing, try again later')).toBe('lost')
  expect(said('no such user: app')).toBe('misconfigured')
})

test('what is no error at all surfaces', () => {
  for (const error of [undefined, null, 'lost', 7, {}, new Error('Something else')]) {
    expect(failureOf(error)).toBe('other')
  }
})
