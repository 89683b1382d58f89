import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { runWithPin, withoutPin } from 'write-pinning'
import type { PrimaryReplicaPool } from 'write-pinning/pg'
import { heldBy, pinOfToken, SECRET } from '../support/exact.ts'
import { heldAfter, inTransaction, openBeside, PINS, pinAfter, rawClients } from '../support/raw-clients.ts'
import { openRequest, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Whether a transaction wrote is the server's word, asked together with its commit, where nothing in it is known to have written.
const shop = useShop({
  settings: { max_prepared_transactions: '4' },
  sql: [
    'create table log (m text)',
    `create function loud(x int) returns int language plpgsql as $$ begin insert into log values ('x'); return x; end $$`,
    'create function quiet(x int) returns int language plpgsql as $$ begin return x; end $$',
    'create sequence counter',
    'create table checked (id int)',
    `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$`,
    'create constraint trigger late after insert on checked deferrable initially deferred for each row execute function refuse()',
    `create function check_in() returns int language sql as 'insert into checked values (1) returning id'`,
    ...Array.from({ length: 40 }, (_, n) => hiddenFunction(n, 'sql stable', 'select x')),
    "insert into item (name) values ('lamp')",
  ],
})
const { cluster } = shop
let pool: PrimaryReplicaPool
let made = 0

beforeAll(async () => {
  pool = await openBeside(shop)
})
afterEach(() => cluster.replicas[0]?.resumeReplay())

function hiddenFunction(n: number, kind: string, body: string): string {
  return `create or replace function hidden${n}(x int) returns int language ${kind} as $$ ${body} $$`
}

/** Makes a function write that the catalog was read of as a harmless one. */
async function makeHidden(): Promise<string> {
  const n = made++
  await cluster.primary.query(
    hiddenFunction(n, 'plpgsql volatile', "begin insert into log values ('x'); return x; end"),
  )
  return `hidden${n}`
}

describe.each(
  rawClients(
    () => shop.db,
    () => pool,
  ),
)('over %s', (_name, client) => {
  describe.each(PINS)('with %s pins', (pin, pinned) => {
    const held = (...texts: string[]) => heldAfter(pin, () => inTransaction(client, ...texts))

    test('a read that hides a write counts', async () => {
      expect(await held(`select ${await makeHidden()}(1)`)).toEqual(pinned)
    })

    test.each([
      ['a call of a volatile function', 'select quiet(1)'],
      ['a read', 'select * from item'],
      ['an update of no row', "update item set name = 'x' where quiet(id) < 0"],
      ['a lock of rows', 'select id from item for update'],
      ['a call beside a lock of no row', 'select quiet(id) from item where false for update'],
      ['a temporary table', 'create temp table mine (id int) on commit drop'],
      ['a lock of a table', 'lock table item in access exclusive mode'],
      ['an advisory lock', 'select pg_advisory_xact_lock(1)'],
      ['a setting', "set local work_mem = '8MB'"],
      ['a call that is executed by its name', 'prepare p as select quiet(1)', 'execute p', 'deallocate p'],
    ])('what wrote nothing pins nobody: %s', async (_what, ...texts) => {
      expect(await held(...texts)).toBeUndefined()
    })

    test.each([
      ['a volatile function', 'select loud(1)'],
      ['an update of no row that calls one', "update item set name = 'x' where loud(id) < 0"],
      ['a call beside a lock of rows', 'select quiet(id) from item for update'],
      ['a call beside a temporary table', 'create temp table mine on commit drop as select quiet(1) as id'],
      ['a write to a table', "insert into item (name) values ('desk')"],
    ])('what wrote, or may have where an id tells nothing, counts: %s', async (_what, text) => {
      expect(await held(text)).toEqual(pinned)
    })

    test('a lock of rows, or a temporary table, does not make a write of what is vouched for', async () => {
      expect(await held('select id from item', 'select id from item for update')).toBeUndefined()
      expect(
        await held('create temp table mine (id int) on commit drop', 'select id from item'),
      ).toBeUndefined()
    })

    test('a sequence counts each time, although few of its calls give an id', async () => {
      const next = "select nextval('counter')"
      expect([await held(next), await held(next)]).toEqual([pinned, pinned])
    })

    test('a cursor counts where it wrote, and one that outlives its transaction as it may', async () => {
      const cursor = (name: string) => `declare c cursor for select ${name}(1)`
      expect(await held(cursor('loud'), 'fetch all in c')).toEqual(pinned)
      expect(await held(cursor('quiet'), 'fetch all in c')).toBeUndefined()
      const holding = 'declare c cursor with hold for select loud(1)'
      expect(
        await heldAfter(pin, () =>
          client.onOne(async (run) => {
            for (const text of ['begin', holding, 'commit', 'close c']) await run(text)
          }),
        ),
      ).toEqual(pinned)
    })

    test('what was executed by its name counts where it wrote', async () => {
      expect(await held('prepare p as select loud(1)', 'execute p', 'deallocate p')).toEqual(pinned)
    })

    test('what was rolled back to a savepoint counts, as the server cannot tell; where nothing wrote, nothing does', async () => {
      const around = (text: string) => ['savepoint a', text, 'rollback to savepoint a', 'select 1']
      expect(await held(...around('select loud(1)'))).toEqual(pinned)
      expect(await held(...around('select quiet(1)'))).toBeUndefined()
    })

    test('each transaction of a chain is asked about', async () => {
      const chain = (first: string, second: string) =>
        heldAfter(pin, () =>
          client.onOne(async (run) => {
            for (const text of ['begin', first, 'commit and chain', second, 'commit']) await run(text)
          }),
        )
      expect(await chain('select loud(1)', 'select quiet(1)')).toEqual(pinned)
      expect(await chain('select quiet(1)', 'select loud(1)')).toEqual(pinned)
      expect(await chain('select quiet(1)', 'select quiet(2)')).toBeUndefined()
    })

    test('one that is prepared for a second phase is asked about', async () => {
      const prepared = (name: string) =>
        heldAfter(pin, () =>
          client.onOne(async (run) => {
            for (const text of ['begin', `select ${name}(1)`, "prepare transaction 'both'"]) await run(text)
          }),
        )
      expect(await prepared('quiet')).toBeUndefined()
      await cluster.primary.query("rollback prepared 'both'")
      expect(await prepared('loud')).toEqual(pinned)
      await cluster.primary.query("commit prepared 'both'")
    })

    test('one whose commit is refused by a deferred trigger pins nobody', async () => {
      const work = () => expect(inTransaction(client, 'select check_in()')).rejects.toThrow('refused')
      expect(await heldAfter(pin, work)).toBeUndefined()
    })

    test('the commit of one that has failed is answered by a rollback, and pins nobody', async () => {
      const work = () =>
        client.onOne(async (run) => {
          await run('begin')
          await run('select loud(1)')
          await expect(run('select 1 / 0')).rejects.toThrow('division by zero')
          await run('commit')
          expect(await run('select 1 as one')).toEqual([{ one: 1 }])
        })
      expect(await heldAfter(pin, work)).toBeUndefined()
    })

    test('one that was rolled back pins nobody, and the next read is fresh', async () => {
      const work = () =>
        client.onOne(async (run) => {
          for (const text of ['begin', 'select loud(1)', 'rollback']) await run(text)
        })
      expect(await heldAfter(pin, work)).toBeUndefined()
      expect(await whereAndWhyInRequest(async () => [await work(), await client.run('select 1')])).toContain(
        'primary: own-write',
      )
    })
  })

  describe('of several contexts', () => {
    const hasWritten = ({ memory }: ReturnType<typeof openRequest>) => memory.wroteTo !== undefined

    test('all whose statements took part have written, where the server says so', async () => {
      const [one, other, none] = [openRequest(), openRequest(), openRequest()]
      const hidden = await makeHidden()
      await client.onOne(async (run) => {
        await none.run(() => run('begin'))
        await one.run(() => run('select 1'))
        await other.run(() => run(`select ${hidden}(1)`))
        await none.run(() => run('commit'))
      })
      expect([one, other, none].map(hasWritten)).toEqual([true, true, false])
    })

    test('only who wrote for sure has, where that is known', async () => {
      const [one, other] = [openRequest(), openRequest()]
      await client.onOne(async (run) => {
        await run('begin')
        await one.run(() => run("insert into item (name) values ('chair')"))
        await other.run(() => run('select 1'))
        await run('commit')
      })
      expect([one, other].map(hasWritten)).toEqual([true, false])
    })

    test('what runs under withoutPin() pins nobody', async () => {
      const request = openRequest()
      await request.run(() =>
        client.onOne(async (run) => {
          await run('begin')
          await run('select 1')
          await withoutPin(() => run('select loud(1)'))
          await run('commit')
        }),
      )
      expect(hasWritten(request)).toBe(false)
    })

    test('what runs in none is committed as it always was', async () => {
      const before = await count()
      await inTransaction(client, 'select loud(1)')
      expect(await count()).toBe(before + 1)
    })
  })

  test('a read with the pin of a transaction sees what a read in it has written, on a late replica', async () => {
    for (const setting of ['on', 'off']) {
      await cluster.waitForCatchup()
      await cluster.replicas[0]?.pauseReplay()
      const hidden = await makeHidden()
      const texts = [`set local synchronous_commit = ${setting}`, `select ${hidden}(1)`]
      const token = await pinAfter('exact', () => inTransaction(client, ...texts))
      expect(heldBy(pinOfToken(token))).toEqual(expect.any(BigInt))
      const [row] = await runWithPin(token, () => client.run('select count(*)::int as n from log'), {
        secret: SECRET,
      })
      expect(row).toEqual({ n: await count() })
      await cluster.replicas[0]?.resumeReplay()
    }
  })

  test('what may have written under withoutPin() is covered by the position of what counts', async () => {
    await cluster.waitForCatchup()
    const token = await pinAfter('exact', async () => {
      await client.run("insert into item (name) values ('counted')")
      await cluster.waitForCatchup()
      await cluster.replicas[0]?.pauseReplay()
      await withoutPin(() => inTransaction(client, 'select loud(1)'))
    })
    const [row] = await runWithPin(token, () => client.run('select count(*)::int as n from log'), {
      secret: SECRET,
    })
    expect(row).toEqual({ n: await count() })
  })
})

async function count(): Promise<number> {
  const [row] = await cluster.primary.query<{ n: number }>('select count(*)::int as n from log')
  return row?.n ?? -1
}
