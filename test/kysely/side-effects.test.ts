import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { useNode } from 'write-pinning'
import { orPrimary } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import type { Database } from '../support/cluster.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Whatever a statement does, it does once, wherever it was sent first: counted at the servers.
const { cluster, db } = useShop({
  dialect: { replicaFunctions: ['add_trusted', 'lock_and_add', 'lock_and_look'] },
})
let replica: PostgresNode
let listener: pg.Client
let heard = 0
const directory = mkdtempSync(join(tmpdir(), 'write-pinning-copied-'))
const copied = join(directory, 'lines')

beforeAll(async () => {
  writeFileSync(copied, '')
  // The servers run as a user of their own.
  chmodSync(directory, 0o777)
  chmodSync(copied, 0o666)
  replica = cluster.replicas[0] as PostgresNode
  const { pathname } = new URL(cluster.primary.connectionString)
  const { host, port } = cluster.primary
  for (const statement of [
    'create extension dblink',
    // Wherever it is used, it writes on the primary.
    `create server far foreign data wrapper dblink_fdw options (host '${host}', port '${port}', dbname '${pathname.slice(1)}')`,
    "create user mapping for postgres server far options (user 'postgres')",
    'create sequence counter',
    "create view numbered as select nextval('counter') as n",
    "create function add() returns int language sql as $$ insert into item (name) values ('added') returning id $$",
    'create function add_trusted() returns int language sql as $$ select add() $$',
    `create function lock_and_add() returns int language plpgsql as
       $$ begin perform pg_advisory_lock(7); return add(); end $$`,
    `create function lock_and_look() returns pg_lsn language plpgsql as
       $$ begin perform pg_advisory_lock(7); return pg_current_wal_lsn(); end $$`,
    `create function add_far() returns text language sql as
       $$ select dblink_exec('far', 'insert into item (name) values (''far'')') $$`,
  ]) {
    await cluster.primary.query(statement)
  }
  await cluster.waitForCatchup()
  listener = new pg.Client({ connectionString: cluster.primary.connectionString })
  listener.on('notification', () => heard++)
  await listener.connect()
  await listener.query('listen news')
  // These are taken for reads, which is how the net under the classifier gets its work.
})

afterEach(async () => {
  expect(await locksOn(cluster.primary)).toEqual([])
  await expect.poll(() => locksOn(replica)).toEqual([])
})

afterAll(async () => {
  await listener.end()
  rmSync(directory, { recursive: true })
})

const one = async (text: string) => Number((await cluster.primary.query<{ n: unknown }>(text))[0]?.n)
const items = () => one('select count(*) as n from item')
const numbers = () => one('select case when is_called then last_value else 0 end as n from counter')
const locksOn = (node: PostgresNode) =>
  node.query("select objid, mode from pg_locks where locktype = 'advisory'")
const notifications = async () => {
  // What is sent on this connection arrives behind the notifications before it.
  await listener.query('select 1')
  return heard
}

interface Effect {
  readonly text: string
  readonly count: () => Promise<number>
  /** A utility statement has no cursor. */
  readonly isUtility?: boolean
}

const effects: Record<string, Effect> = {
  'an insert': { text: "insert into item (name) values ('inserted') returning id", count: items },
  'an insert in a CTE': {
    text: "with added as (insert into item (name) values ('cte') returning id) select id from added",
    count: items,
  },
  'the next value of a sequence': { text: "select nextval('counter')", count: numbers },
  'a view over a sequence': { text: 'select n from numbered', count: numbers },
  'a function that writes': { text: 'select add()', count: items },
  'a function that writes, taken for a read': { text: 'select add_trusted()', count: items },
  'a write over dblink': {
    text: "select dblink_exec('far', 'insert into item (name) values (''dblink'')')",
    count: items,
  },
  'a write over dblink that gives rows': {
    text: "select id from dblink('far', 'insert into item (name) values (''x'') returning id') as t(id int)",
    count: items,
  },
  'a function that writes over dblink': { text: 'select add_far()', count: items },
  'a notification': { text: "select pg_notify('news', 'x')", count: notifications },
  'a notification by a statement': {
    text: "notify news, 'y'",
    count: notifications,
    isUtility: true,
  },
  'a large object': {
    text: 'select lo_create(0)',
    count: () => one('select count(*) as n from pg_largeobject_metadata'),
  },
  'a copy to a program': {
    text: `copy (select 1) to program 'cat >> ${copied}'`,
    count: async () => readFileSync(copied, 'utf8').split('\n').length,
    isUtility: true,
  },
  'several statements': {
    text: "insert into item (name) values ('first'); select 1",
    count: items,
    isUtility: true,
  },
  'a block': { text: 'do $$ begin perform add(); end $$', count: items, isUtility: true },
}

const run = (text: string, on: Kysely<Database> = db) => sql.raw(text).execute(on)

interface Way {
  readonly send: (effect: Effect) => Promise<unknown>
  readonly times?: number
  readonly cannotSend?: (effect: Effect) => boolean
}

const CONCURRENT = 6

const ways: Record<string, Way> = {
  alone: { send: ({ text }) => inRequest(() => run(text)) },
  'outside any request': { send: ({ text }) => run(text) },
  streamed: {
    send: ({ text }) =>
      inRequest(async () => {
        const stream = db.getExecutor().stream(sql.raw(text).compile(db), 1)
        for await (const _rows of stream);
      }),
    cannotSend: ({ isUtility = false }) => isUtility,
  },
  'as a part of a built query': {
    send: ({ text }) =>
      inRequest(() =>
        db
          .selectFrom(sql`${sql.raw(`(${text})`)}`.as('part'))
          .select(sql<number>`1`.as('one'))
          .execute(),
      ),
    // A data-modifying statement is no subquery.
    cannotSend: ({ text, isUtility = false }) => isUtility || !text.startsWith('select'),
  },
  'marked with `orPrimary`': { send: ({ text }) => inRequest(() => orPrimary(sql.raw(text)).execute(db)) },
  'on a connection that is on the replica': {
    send: ({ text }) =>
      inRequest(() =>
        db.connection().execute(async (connection) => {
          await connection.selectFrom('item').select('id').limit(1).execute()
          await run(text, connection)
        }),
      ),
  },
  'in a transaction': {
    send: ({ text }) => inRequest(() => db.transaction().execute((transaction) => run(text, transaction))),
  },
  'from concurrent requests': {
    send: ({ text }) => Promise.all(Array.from({ length: CONCURRENT }, () => inRequest(() => run(text)))),
    times: CONCURRENT,
  },
}

describe.each(Object.entries(ways))('%s', (_way, { send, times = 1, cannotSend = () => false }) => {
  const sendable = Object.entries(effects).filter(([, effect]) => !cannotSend(effect))
  test.each(sendable)('%s takes effect once', async (_name, effect) => {
    const before = await effect.count()
    await send(effect)
    expect(await effect.count()).toBe(before + times)
  })
})

describe('while the replica’s replay is paused', () => {
  beforeAll(() => replica.pauseReplay())
  afterAll(async () => {
    await replica.resumeReplay()
    await cluster.waitForCatchup()
  })

  test.each(Object.entries(effects))('%s takes effect once', async (_name, effect) => {
    const before = await effect.count()
    await inRequest(() => run(effect.text))
    expect(await effect.count()).toBe(before + 1)
  })

  test('a write that reads what the replica does not have yet takes effect once', async () => {
    await cluster.primary.query('create table late (id int)')
    await cluster.primary.query('insert into late values (1)')
    const before = await items()
    await inRequest(() => run('select add_trusted() /* new */, id from late'))
    await inRequest(() => orPrimary(sql`select add_trusted(), sid from session`).execute(db))
    expect(await items()).toBe(before + 1)
  })
})

describe('a lock of the session', () => {
  const held = "select pid, mode from pg_locks where locktype = 'advisory' and granted"

  test('is taken on the primary alone, and is gone when it is released', async () => {
    await inRequest(() =>
      db.connection().execute(async (connection) => {
        await connection.selectFrom('item').select('id').limit(1).execute()
        await run('select pg_advisory_lock(1), pg_advisory_lock_shared(2)', connection)
        await connection.selectFrom('item').select('id').limit(1).execute()
        expect(await cluster.primary.query(held)).toHaveLength(2)
        expect(await replica.query(held)).toEqual([])
        const { rows } = await sql<{ was: boolean }>`select pg_advisory_unlock(1) as was`.execute(connection)
        expect(rows).toEqual([{ was: true }])
        await run('select pg_advisory_unlock_all()', connection)
      }),
    )
  })

  test('excludes every other taker, whoever asks', async () => {
    const tryLock = (on: Kysely<Database>) =>
      sql<{ is: boolean }>`select pg_try_advisory_lock(3) as is`.execute(on).then(({ rows }) => rows[0]?.is)
    const attempts = await inRequest(() =>
      db.connection().execute((first) =>
        db.connection().execute(async (second) => {
          const both = [await tryLock(first), await tryLock(second)]
          await run('select pg_advisory_unlock_all()', first)
          return both
        }),
      ),
    )
    expect(attempts).toEqual([true, false])
  })

  test('of a transaction ends with it', async () => {
    await inRequest(() =>
      db.transaction().execute(async (transaction) => {
        await run('select pg_advisory_xact_lock(4)', transaction)
        expect(await cluster.primary.query(held)).toHaveLength(1)
        expect(await replica.query(held)).toEqual([])
      }),
    )
  })

  // One is refused with 25006, the other with 55000; and the same client serves the next statement.
  test.each(['lock_and_add', 'lock_and_look'])(
    'that %s() took is not left behind on the replica that refused it',
    async (name) => {
      const texts = ['first', 'second', 'third'].map((column) => `select ${name}() as ${column}`)
      await inRequest(() => run(texts[0] as string))
      await expect.poll(() => replica.query(held)).toEqual([])
      await inRequest(async () => {
        const stream = db.getExecutor().stream(sql.raw(texts[1] as string).compile(db), 1)
        for await (const _rows of stream);
      })
      await expect.poll(() => replica.query(held)).toEqual([])
      await inRequest(() =>
        db.connection().execute(async (connection) => {
          await connection.selectFrom('item').select('id').limit(1).execute()
          await run(texts[2] as string, connection)
        }),
      )
      await expect.poll(() => replica.query(held)).toEqual([])
      // On the primary they last as long as with any pool.
      await cluster.primary.query(
        "select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and pid <> pg_backend_pid()",
      )
      await expect.poll(() => locksOn(cluster.primary)).toEqual([])
    },
  )
})

describe('what belongs to the session', () => {
  test('a prepared statement runs once at each execution', async () => {
    const before = await items()
    await inRequest(() =>
      db.connection().execute(async (connection) => {
        await run("prepare add_one as insert into item (name) values ('prepared')", connection)
        await connection.selectFrom('item').select('id').limit(1).execute()
        await run('execute add_one', connection)
        await run('execute add_one', connection)
        await run('deallocate add_one', connection)
      }),
    )
    expect(await items()).toBe(before + 2)
  })

  test('a temporary table is where its connection is', async () => {
    await inRequest(() =>
      db.connection().execute(async (connection) => {
        await connection.selectFrom('item').select('id').limit(1).execute()
        await run('create temporary table draft as select 1 as id', connection)
        await run('insert into draft values (2)', connection)
        expect((await run('select id from draft order by id', connection)).rows).toEqual([
          { id: 1 },
          { id: 2 },
        ])
        await run('drop table draft', connection)
      }),
    )
  })

  test('a cursor gives each row once', async () => {
    await inRequest(() =>
      db.connection().execute(async (connection) => {
        await connection.selectFrom('item').select('id').limit(1).execute()
        await run(
          "declare numbers cursor with hold for select nextval('counter') from generate_series(1, 3)",
          connection,
        )
        const before = await numbers()
        const rows = []
        for (let fetched = 0; fetched < 4; fetched++)
          rows.push(...(await run('fetch 1 from numbers', connection)).rows)
        expect(rows).toHaveLength(3)
        expect(await numbers()).toBe(before)
        await run('close numbers', connection)
      }),
    )
  })

  test('a setting holds on its connection, and the connection stays where it was made', async () => {
    await inRequest(() =>
      db.connection().execute(async (connection) => {
        await run("set application_name = 'mine'", connection)
        await useNode('replica-1', async () => {
          const { rows } = await sql<{
            name: string
          }>`select current_setting('application_name') as name`.execute(connection)
          expect(rows).toEqual([{ name: 'mine' }])
          await run('reset application_name', connection)
        })
      }),
    )
    const named = "select 1 from pg_stat_activity where application_name = 'mine'"
    expect(await cluster.primary.query(named)).toEqual([])
  })

  test('a listener hears what is sent on another connection, once', async () => {
    const before = await notifications()
    await inRequest(() =>
      db.connection().execute(async (connection) => {
        await run('listen news', connection)
        await run("select pg_notify('news', 'z')")
        await run('unlisten news', connection)
      }),
    )
    expect(await notifications()).toBe(before + 1)
  })
})
