import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { type PostgresCluster, startPostgresCluster } from 'write-pinning/testing'
import { TcpProxy } from '../../support/tcp-proxy.ts'

let cluster: PostgresCluster
let proxy: TcpProxy
let clients: pg.Client[]

beforeAll(async () => {
  cluster = await startPostgresCluster({ replicas: 1 })
  await cluster.primary.query('create table note (name text)')
})

beforeEach(async () => {
  proxy = await TcpProxy.start(cluster.primary)
  clients = []
})

afterEach(async () => {
  await proxy.stop()
  await Promise.all(clients.map((client) => client.end()))
})

afterAll(() => cluster.stop())

async function connect(config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: proxy.connectionString, ...config })
  client.on('error', () => {})
  await client.connect()
  clients.push(client)
  return client
}

const portOf = async (client: pg.Client) =>
  (await client.query('select inet_server_port() as port')).rows[0].port
const notesNamed = async (name: string) =>
  (await cluster.primary.query('select from note where name = $1', [name])).length

test('it forwards, megabytes too, and counts', async () => {
  const client = await connect()
  const { rows } = await client.query("select repeat('x', 5000000) as text")
  expect(rows[0].text).toHaveLength(5_000_000)
  expect([proxy.connections, proxy.accepted]).toEqual([1, 1])
  await client.end()
  await vi.waitFor(() => expect(proxy.connections).toBe(0))
})

describe('a black hole', () => {
  test('stalls an open connection, in a query too, until the way is free', async () => {
    const client = await connect()
    const running = client.query('select pg_sleep(0.1)')
    const states = "select state from pg_stat_activity where query = 'select pg_sleep(0.1)'"
    await vi.waitFor(async () => expect(await cluster.primary.query(states)).toHaveLength(1))
    await proxy.blackHole()
    const answered = vi.fn()
    running.then(answered)
    const next = client.query('select 1').then(answered)
    await vi.waitFor(async () => expect(await cluster.primary.query(states)).toEqual([{ state: 'idle' }]))
    expect(answered).not.toHaveBeenCalled()
    await proxy.forward()
    await next
    expect(answered).toHaveBeenCalledTimes(2)
  })

  test('takes new connections and never answers them', async () => {
    await proxy.blackHole()
    await expect(connect({ connectionTimeoutMillis: 300 })).rejects.toThrow('timeout')
    expect(proxy.accepted).toBe(1)
    await proxy.forward()
    expect(await portOf(await connect())).toBe(cluster.primary.port)
  })

  test('or does not even let them connect, while an open one stalls', async () => {
    const open = await connect()
    await proxy.blackHole({ connects: 'unanswered' })
    const stalled = portOf(open)
    await expect(connect({ connectionTimeoutMillis: 300 })).rejects.toThrow('timeout')
    expect(proxy.accepted).toBe(1)
    await proxy.forward()
    expect(await stalled).toBe(cluster.primary.port)
    expect(await portOf(await connect())).toBe(cluster.primary.port)
  })
})

test('it refuses new connections, and open ones go on', async () => {
  const open = await connect()
  await proxy.refuse()
  await expect(connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  expect(await portOf(open)).toBe(cluster.primary.port)
  await proxy.forward()
  expect(await portOf(await connect())).toBe(cluster.primary.port)
})

test('it goes from one failure to any other', async () => {
  await proxy.blackHole({ connects: 'unanswered' })
  await proxy.refuse()
  await expect(connect()).rejects.toMatchObject({ code: 'ECONNREFUSED' })
  await proxy.blackHole()
  await expect(connect({ connectionTimeoutMillis: 300 })).rejects.toThrow('timeout')
  await proxy.blackHole({ connects: 'unanswered' })
  await proxy.forward()
  expect(await portOf(await connect())).toBe(cluster.primary.port)
})

test('it cuts every connection, in the middle of a query', async () => {
  const one = await connect()
  await connect()
  const running = expect(one.query('select pg_sleep(30)')).rejects.toThrow()
  expect(proxy.cut()).toBe(2)
  await running
})

test('it is slow in each direction', async () => {
  const client = await connect()
  proxy.slow(100)
  const before = performance.now()
  await client.query('select 1')
  expect(performance.now() - before).toBeGreaterThan(195)
})

describe('a connection that is cut at its COMMIT', () => {
  const begin = async (name: string) => {
    const client = await connect()
    await client.query('begin')
    await client.query('insert into note values ($1)', [name])
    return client
  }

  test('after the server got it: it is committed, and the client never hears', async () => {
    const client = await begin('delivered')
    const cut = proxy.cutWhen((bytes) => bytes.includes('commit'))
    await expect(client.query('commit')).rejects.toThrow(/terminated|ECONNRESET/)
    await cut
    expect(await notesNamed('delivered')).toBe(1)
  })

  test('before that: it is not committed', async () => {
    const client = await begin('lost')
    const cut = proxy.cutWhen((bytes) => bytes.includes('commit'), 'lost')
    await expect(client.query('commit')).rejects.toThrow(/terminated|ECONNRESET/)
    await cut
    expect(await notesNamed('lost')).toBe(0)
  })

  test('is one; the next one is left alone', async () => {
    const cut = proxy.cutWhen((bytes) => bytes.includes('commit'))
    const first = await begin('first')
    await expect(first.query('commit')).rejects.toThrow()
    await cut
    const second = await begin('second')
    await second.query('commit')
    expect(await notesNamed('second')).toBe(1)
  })
})

test('several servers get connections in turn, and one that is added gets its share', async () => {
  const [replica] = cluster.replicas
  const ports = [await portOf(await connect()), await portOf(await connect())]
  expect(ports).toEqual([cluster.primary.port, cluster.primary.port])
  proxy.targets = [cluster.primary, replica as typeof cluster.primary]
  const after = [await portOf(await connect()), await portOf(await connect())]
  expect(new Set(after)).toEqual(new Set(cluster.nodes.map(({ port }) => port)))
})
