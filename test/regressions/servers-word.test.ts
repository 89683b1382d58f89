import type pg from 'pg'
import pgLibrary from 'pg'
import { beforeAll, describe, expect, test } from 'vitest'
import { capturePin, runWithPin, usePrimary, withoutPin } from 'write-pinning'
import type { PrimaryReplicaPool } from 'write-pinning/pg'
import { openingPools } from '../support/pools.ts'
import { heldAfter, inTransaction, openBeside, PINS, rawClients, rawPool } from '../support/raw-clients.ts'
import { inRequest, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Whether a single statement on the primary wrote is the server's word, where the catalog does not vouch for it.
const shop = useShop({
  sql: [
    'create table log (m text)',
    `create function loud(x int) returns int language plpgsql as $$ begin insert into log values ('x'); return x; end $$`,
    'create function quiet(x int) returns int language plpgsql as $$ begin return x; end $$',
    'create sequence counter',
    `create function sneaky(x int) returns int language plpgsql stable as
      $$ begin execute 'select lo' || 'ud(1)'; return x; end $$`,
    'create function hidden(x int) returns int language sql stable as $$ select x $$',
    "insert into item (name) values ('lamp')",
    'create view loudly as select loud(id) as id from item',
    'create view quietly as select quiet(id) as id from item',
  ],
})
const { cluster } = shop
const openPool = openingPools(shop)
let pool: PrimaryReplicaPool

beforeAll(async () => {
  pool = await openBeside(shop)
})

describe.each(
  rawClients(
    () => shop.db,
    () => pool,
  ),
)('over %s', (_name, client) => {
  describe.each(PINS)('with %s pins', (pin, pinned) => {
    const held = (...texts: string[]) =>
      heldAfter(pin, () =>
        client.onOne(async (run) => {
          for (const text of texts) await run(text)
        }),
      )

    test.each([
      ['a volatile function', 'select loud(1)'],
      ['a view that calls one', 'select * from loudly'],
      [
        'a delete of no row that reads such a view',
        'delete from item using loudly where item.id = loudly.id - 1',
      ],
      ['an update of no row that calls one', 'update item set id = 0 where loud(id) < 0'],
      ['a call beside a lock of rows', 'select loud(id) from item for update'],
    ])('what wrote counts: %s', async (_what, text) => {
      expect(await held(text)).toEqual(pinned)
    })

    test.each([
      ['a volatile function', 'select quiet(1)'],
      ['a view that calls one', 'select * from quietly'],
      [
        'a delete of no row that reads such a view',
        'delete from item using quietly where item.id = quietly.id - 1',
      ],
      ['an update of no row that calls one', 'update item set id = 0 where quiet(id) < 0'],
      ['a lock of rows', 'select id from item for update'],
      ['a call beside a lock of no row', 'select quiet(id) from item where false for update'],
    ])('what wrote nothing pins nobody: %s', async (_what, text) => {
      expect(await held(text)).toBeUndefined()
    })

    test.each([
      ['a plan that calls one to guess by', 'explain select * from item where id = sneaky(1)'],
      ['a call beside a lock of the transaction', 'select pg_advisory_xact_lock(7), sneaky(1)'],
    ])('what nobody can vouch for counts on the primary where it wrote: %s', async (_what, text) => {
      const harmless = text.replace('sneaky', 'abs')
      expect(await heldAfter(pin, () => usePrimary(() => client.run(text)))).toEqual(pinned)
      expect(await heldAfter(pin, () => usePrimary(() => client.run(harmless)))).toBeUndefined()
    })

    test('a sequence counts each time, although few of its calls give an id', async () => {
      const next = "select nextval('counter')"
      expect([await held(next), await held(next), await held(`${next}, quiet(1)`)]).toEqual([
        pinned,
        pinned,
        pinned,
      ])
    })

    test('what is executed by its name counts where it wrote', async () => {
      const prepared = (name: string) => [
        `prepare p (int) as select ${name}($1)`,
        'execute p (1)',
        'deallocate p',
      ]
      expect([await held(...prepared('loud')), await held(...prepared('quiet'))]).toEqual([pinned, undefined])
    })

    test('several statements in one text cannot be asked about: what is in doubt counts', async () => {
      expect(await held('select quiet(1); select quiet(2)')).toEqual(pinned)
    })
  })

  test('what wrote nothing is no attempt to write either: the next read is served by a replica', async () => {
    const routes = await whereAndWhyInRequest(async () => {
      await client.run('select quiet(1)')
      await client.run('select 1')
    })
    expect(routes).toEqual(['primary: function', 'replica: read'])
  })

  test('what wrote under withoutPin() pins nobody', async () => {
    expect(await heldAfter('exact', () => withoutPin(() => client.run('select loud(1)')))).toBeUndefined()
  })

  test('a statement outside any context runs as it always did', async () => {
    expect(await client.run('select loud(1) as x')).toEqual([{ x: 1 }])
  })
})

test('a statement that has a name of the client is asked about each time', async () => {
  const call = (name: string) => () => pool.query({ name, text: `select ${name}($1) as x`, values: [1] })
  for (let time = 0; time < 3; time++) {
    expect(await heldAfter('time', call('loud'))).toBe('primary')
    expect(await heldAfter('time', call('quiet'))).toBeUndefined()
  }
})

test('where a client cannot ask, what is in doubt counts, and a read does not', async () => {
  class Unasked extends pgLibrary.Client {
    static readonly Query = undefined
  }
  const mute = await openPool({ max: 2, Client: Unasked } as pg.PoolConfig)
  expect(await heldAfter('time', () => mute.query('select quiet(1)'))).toBe('primary')
  expect(await heldAfter('time', () => usePrimary(() => mute.query('select 1')))).toBeUndefined()
})

test('a function that was made one that writes is found out by a transaction, and asked about from then on', async () => {
  // No look at the catalog is under way in this one, nor will be soon.
  const fresh = await openBeside(shop)
  await cluster.primary.query(
    `create or replace function hidden(x int) returns int language plpgsql volatile as
      $$ begin insert into log values ('x'); return x; end $$`,
  )
  const client = rawPool(() => fresh)
  expect(await heldAfter('time', () => inTransaction(client, 'select hidden(1)'))).toBe('primary')
  // The catalog is not read again yet, and vouches for nothing.
  expect(await heldAfter('time', () => usePrimary(() => client.run('select hidden(2)')))).toBe('primary')
  expect(await heldAfter('time', () => usePrimary(() => client.run('select 1')))).toBeUndefined()
})

test('a read that the catalog vouches for gets no further message', async () => {
  const parsed: string[] = []
  const primary = new pgLibrary.Pool({ connectionString: cluster.primary.connectionString })
  primary.on('connect', (client) => {
    const { connection } = client as unknown as { connection: { parse(message: { text: string }): void } }
    const parse = connection.parse.bind(connection)
    connection.parse = (message) => {
      parsed.push(message.text)
      parse(message)
    }
  })
  const watched = await openPool({}, { primary })
  const ask = (text: string) => runWithPin(undefined, () => usePrimary(() => watched.query(text)))
  await expect
    .poll(
      async () => {
        parsed.length = 0
        await ask('select id from item')
        return parsed
      },
      { timeout: 20_000 },
    )
    .toEqual([])
  await ask('select quiet(1)')
  expect(parsed).toEqual(['select quiet(1)', expect.stringContaining('xact_id')])
  expect(await inRequest(() => capturePin())).toBeUndefined()
})
