import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import type { Node } from '../../src/nodes/node.ts'
import type { Session } from '../../src/nodes/session.ts'
import { ServerProcesses, signalled } from '../../src/pg/server-processes.ts'
import { startShop } from '../support/cluster.ts'
import { openRequest } from '../support/request.ts'
import { WAIT } from './contract.ts'

const cluster = await startShop(1)
const pool = new PrimaryReplicaPool({
  primary: { connectionString: cluster.primary.connectionString, max: 1 },
  replicas: [{ connectionString: cluster.replicas[0]?.connectionString, max: 1 }],
})

beforeAll(async () => {
  await pool.ready()
})

afterAll(async () => {
  await pool.end()
  await cluster.stop()
})

/** Runs what never ends, and gives its client once it has a process, or waits for one. */
async function sleeping(text = 'select pg_sleep(60)', isWaiting = false) {
  const client = new pool.driver.Client() as unknown as import('pg').Client & { processID: number | null }
  await client.connect()
  const outcome = client.query(text).then(
    () => 'over',
    (error: Error & { code: string }) => error.code,
  )
  await vi.waitFor(() => expect((client.processID ?? 0) > 0).toBe(!isWaiting), WAIT)
  return { client, outcome }
}

describe.each([
  ['a replica', useReplica],
  ['the primary', usePrimary],
])('a query on %s', (_where, scope) => {
  // Its pool has one connection only, which is busy.
  it.each<[string, (pid: number) => Promise<unknown>]>([
    ['another client, with a parameter', (pid) => byClient('SELECT pg_cancel_backend($1);', [pid])],
    [
      'another client, with a literal',
      (pid) => byClient(`select pg_catalog.pg_cancel_backend(${pid}) as it`),
    ],
    ['the pool', (pid) => pool.query({ text: 'select pg_cancel_backend($1::int)', values: [pid] })],
  ])('is cancelled by %s', async (_by, cancel) => {
    const { client, outcome } = await scope(() => sleeping())
    const request = openRequest()
    const given = await request.run(() => cancel(client.processID as number))
    expect((given as { rows: object[] }).rows.map((row) => Object.values(row))).toEqual([[true]])
    expect(await outcome).toBe('57014')
    expect(request.memory.wroteTo).toBeUndefined()
    expect(request.memory.triedToWriteTo).toBeUndefined()
    await client.end()
  })
})

// A read that is ended is served by another node.
it('a write is ended with its connection by another client', async () => {
  await cluster.primary.query("insert into item (name) values ('lamp')")
  const { client, outcome } = await sleeping('update item set name = pg_sleep(60)::text')
  client.on('error', () => {})
  await byClient('select pg_terminate_backend($1)', [client.processID])
  expect(await outcome).toBe('57P01')
  await client.end()
})

it('a write that waits for a connection is cancelled, and never sent', async () => {
  const busy = await pool.connect()
  await busy.query('begin')
  const { client, outcome } = await sleeping("insert into item (name) values ('never')", true)
  const { rows } = await byClient('select pg_cancel_backend($1)', [client.processID])
  expect(rows).toEqual([{ pg_cancel_backend: true }])
  expect(await outcome).toBe('57014')
  await busy.query('commit')
  busy.release()
  await client.query("insert into item (name) values ('chair')")
  await client.end()
  expect(await cluster.primary.query("select name from item where name in ('never', 'chair')")).toEqual([
    { name: 'chair' },
  ])
})

describe('who has set a role that may end nothing', () => {
  it.each(['a client of its own', 'a lent client'])('ends nothing: %s', async (which) => {
    await cluster.primary.query('create role nobody').catch(() => {})
    await cluster.waitForCatchup()
    const { client, outcome } = await useReplica(() => sleeping())
    const ending = which === 'a lent client' ? await pool.connect() : new pool.driver.Client()
    if (!('release' in ending)) await ending.connect()
    for (const texts of [['set role nobody'], ['begin', 'set local role nobody']]) {
      for (const text of texts) await ending.query(text)
      const ended = ending.query('select pg_terminate_backend($1)', [client.processID])
      // In a transaction it is asked where that is, which has no such process.
      if (texts.length === 1) await expect(ended).rejects.toMatchObject({ code: '42501' })
      else expect((await ended).rows).toEqual([{ pg_terminate_backend: false }])
      await ending.query(texts.length === 1 ? 'reset role' : 'rollback')
    }
    await ending.query('select pg_cancel_backend($1)', [client.processID])
    expect(await outcome).toBe('57014')
    if ('release' in ending) (ending as import('pg').PoolClient).release()
    else await ending.end()
    await client.end()
  })
})

it('a process that is nobody’s here is looked for on the primary', async () => {
  const { rows } = await pool.query('select pg_cancel_backend(999999) as it')
  expect(rows).toEqual([{ it: false }])
})

describe('of two servers with the same process id', () => {
  const [one, other] = [{ isEnded: false } as Node, { isEnded: false } as Node]
  const session = (node: Node) => ({ node, client: { processID: 7 } }) as unknown as Session

  it('the one is meant whose was read last', () => {
    const processes = new ServerProcesses()
    processes.wasRead(7, session(one))
    processes.wasRead(7, session(other))
    expect(processes.nodeOf(7)).toBe(other)
    processes.wasRead(7, session(one))
    expect(processes.nodeOf(7)).toBe(one)
    expect(processes.nodeOf(8)).toBeUndefined()
  })

  it('the one is meant that a client is on, where nobody has read it', () => {
    const processes = new ServerProcesses()
    processes.connected.add({ session: undefined, cancelWaiting() {} })
    processes.connected.add({ session: session(other), cancelWaiting() {} })
    expect(processes.nodeOf(7)).toBe(other)
  })
})

it('what does more than that is no such query', () => {
  expect(signalled('select pg_cancel_backend(1), 2', undefined)).toBeUndefined()
  expect(signalled('select pg_cancel_backend(pid) from pg_stat_activity', undefined)).toBeUndefined()
  expect(signalled('select pg_cancel_backend($1)', [null])).toBeUndefined()
  expect(signalled({ text: 'select pg_terminate_backend($1)', values: ['12'] }, undefined)).toBe(12)
})

async function byClient(text: string, values?: unknown[]) {
  const client = new pool.driver.Client()
  await client.connect()
  try {
    return await client.query(text, values)
  } finally {
    await client.end()
  }
}
