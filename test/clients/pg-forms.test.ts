import { once } from 'node:events'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { startShop } from '../support/cluster.ts'
import { nodesOf } from './client.ts'

// What is asked of the pool is asked of a plain one of `pg`, too: both have to answer the same.
const cluster = await startShop(1)
await cluster.primary.query("insert into item (name) values ('lamp'), ('chair')")
await cluster.waitForCatchup()

const ours = new PrimaryReplicaPool(nodesOf(cluster))
const plain = new pg.Pool({ connectionString: cluster.primary.connectionString })

beforeAll(async () => {
  await ours.ready()
})

afterAll(async () => {
  await ours.end()
  await plain.end()
  await cluster.stop()
})

type Queryable = pg.Pool | pg.PoolClient

const READ = 'select id, name from item order by id'
const BY_ID = 'select id, name from item where id = $1'
const asText = { getTypeParser: () => (value: unknown) => `<${value}>` } as unknown as pg.CustomTypesConfig

/** Calls with a callback, and gives what that is called with. */
const called = (call: (callback: (...given: unknown[]) => void) => unknown) =>
  new Promise((resolve) => {
    const returned = call((error, result) => resolve({ error: errorOf(error), result, returned }))
  })

const forms: Record<string, (on: Queryable) => unknown> = {
  'a text': (on) => on.query(READ),
  'a text and values': (on) => on.query(BY_ID, [1]),
  'a text and no values': (on) => on.query(READ, []),
  'a configuration': (on) => on.query({ text: BY_ID, values: [2] }),
  'a configuration, and values beside it': (on) => on.query({ text: BY_ID }, [2]),
  'a name': (on) => on.query({ name: 'by-id', text: BY_ID, values: [1] }),
  'rows as arrays': (on) => on.query({ text: READ, rowMode: 'array' }),
  'parsers of its own': (on) => on.query({ text: BY_ID, values: [1], types: asText }),
  'the extended protocol': (on) => on.query({ text: READ, queryMode: 'extended' } as pg.QueryConfig),
  'binary values': (on) => on.query({ text: BY_ID, values: [1], binary: true } as pg.QueryConfig),
  'values of many kinds': (on) =>
    on.query(
      'select $1::jsonb as a, $2::int[] as b, $3::bytea as c, $4::text as d, $5::timestamptz as e, $6::bool as f',
      [{ lamp: [1, 2] }, [1, 2], Buffer.from('lamp'), null, new Date(0), true],
    ),
  'a text with a callback': (on) => called((callback) => on.query(READ, callback)),
  'a text and values with a callback': (on) => called((callback) => on.query(BY_ID, [1], callback)),
  'a configuration with a callback': (on) =>
    called((callback) => on.query({ text: BY_ID, values: [1] }, callback as never)),
  'a configuration and values with a callback': (on) =>
    called((callback) => on.query({ text: BY_ID } as never, [1], callback)),
  'an error with a callback': (on) => called((callback) => on.query('select 1 / 0', callback)),
  'several statements': (on) => on.query('select 1 as one; select 2 as two'),
  'no statement': (on) => on.query(''),
  'no row': (on) => on.query('select from item where id = -1'),
  'a write': (on) => on.query("update item set name = 'lamp' where id = 1 returning name"),
  'a command': (on) => on.query('analyze item'),
  'what the server refuses': (on) => on.query('select nonsense from item'),
  'what cannot be parsed': (on) => on.query('selekt 1'),
  'what fails': (on) => on.query('select 1 / 0'),
  'a value that does not fit': (on) => on.query(BY_ID, ['no number']),
  'a value too few': (on) => on.query(BY_ID, []),
  'a value that cannot be sent': (on) =>
    on.query('select $1::text', [
      {
        toPostgres() {
          throw new Error('cannot be sent')
        },
      },
    ]),
  'a time limit of its own': (on) =>
    on.query({ text: 'select pg_sleep(0.5)', query_timeout: 50 } as pg.QueryConfig),
  nothing: (on) => on.query(undefined as unknown as string),
  'an empty configuration': (on) => on.query({} as pg.QueryConfig),
}

const onClient: Record<string, (client: pg.PoolClient) => unknown> = {
  'a query object': async (client) => {
    const query = client.query(new pg.Query(READ))
    const rows: unknown[] = []
    query.on('row', (row) => rows.push(row))
    await once(query, 'end')
    return rows
  },
  'a query object that fails': async (client) => {
    const query = client.query(new pg.Query('select 1 / 0'))
    const [error] = await once(query, 'error')
    return errorOf(error)
  },
  'statements in their order, without waiting': async (client) => {
    const order: string[] = []
    const note = (name: string) => () => order.push(name)
    await Promise.all([
      client.query(READ).then(note('a read')),
      client.query("update item set name = 'lamp' where id = 1").then(note('a write')),
      client.query('select 1 / 0').catch(note('an error')),
      client.query({ name: 'by-id', text: BY_ID, values: [1] }).then(note('a name')),
      client.query(READ).then(note('a read again')),
    ])
    return order
  },
  'what it says of itself': (client) => [
    client.escapeIdentifier('a "b"'),
    client.escapeLiteral("it's"),
    client.getTypeParser(23, 'text')('7'),
    typeof client.release,
  ],
}

describe.each([
  ['the primary', usePrimary],
  ['a replica', useReplica],
])('on %s', (_node, scope) => {
  it.each(Object.entries(forms))('%s is answered by the pool as `pg` answers it', async (_name, form) => {
    expect(await outcomeOf(() => scope(() => form(ours)))).toEqual(await outcomeOf(() => form(plain)))
  })

  it.each(Object.entries({ ...forms, ...onClient }))(
    '%s is answered by a client as `pg` answers it',
    async (_name, form) => {
      const on = (pool: pg.Pool) => outcomeOf(() => withClient(pool, (client) => form(client)))
      expect(await scope(() => on(ours))).toEqual(await on(plain))
    },
  )
})

/** What comes of a call, as data: what it gives, throws, or rejects with. */
async function outcomeOf(call: () => unknown): Promise<unknown> {
  let promise: unknown
  try {
    promise = call()
  } catch (error) {
    return { thrown: errorOf(error) }
  }
  try {
    return { given: plainly(await promise) }
  } catch (error) {
    return { rejected: errorOf(error) }
  }
}

function errorOf(error: unknown): unknown {
  if (!(error instanceof Error)) return error
  const { name, message, code, severity, position } = error as pg.DatabaseError
  return { name, message, code, severity, position }
}

/** A result without what differs from server to server. */
function plainly(given: unknown): unknown {
  if (Array.isArray(given)) return given.map(plainly)
  if (given instanceof pg.Result) {
    const { command, rowCount, rows, fields } = given
    return { command, rowCount, rows, fields: fields.map(({ name, dataTypeID }) => ({ name, dataTypeID })) }
  }
  if (typeof given !== 'object' || given === null || given instanceof Date || Buffer.isBuffer(given))
    return given
  return Object.fromEntries(Object.entries(given).map(([key, value]) => [key, plainly(value)]))
}

async function withClient(pool: pg.Pool, work: (client: pg.PoolClient) => unknown): Promise<unknown> {
  const client = await pool.connect()
  try {
    return await work(client)
  } finally {
    client.release()
  }
}
