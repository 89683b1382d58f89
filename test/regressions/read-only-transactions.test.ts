import { type ControlledTransaction, type Kysely, sql } from 'kysely'
import type { PoolClient } from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { runWithPin, useNode, usePrimary, useReplica } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import type { Database } from '../support/cluster.ts'
import { SECRET } from '../support/exact.ts'
import { busyOf } from '../support/pools.ts'
import { inRequest, openRequest, whenCatalogIsRead } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// A read-only transaction is bound to a node by its first statement, and not by its BEGIN.
const OPTIONS = { primaryTables: ['listed'], primaryFunctions: ['named'] }
const shop = useShop({
  replicas: 2,
  sql: [
    `create unlogged table counter (id int); create table part (id int) partition by range (id);
     create unlogged table part_1 partition of part for values from (0) to (10)`,
    'create table listed (id int); create function named() returns int language sql stable as $$ select 1 $$',
    "insert into item (name) values ('first')",
  ],
  dialect: OPTIONS,
})
const { cluster } = shop
let pool: PrimaryReplicaPool

beforeAll(async () => {
  const [primary, ...replicas] = cluster.nodes.map(({ connectionString }) => connectionString)
  pool = new PrimaryReplicaPool({ ...OPTIONS, primary, replicas })
  await pool.ready()
  await inRequest(() => whenCatalogIsRead(shop.db))
  // The pool has a catalog of its own.
  await vi.waitFor(
    async () =>
      expect(await rolesOf(() => inRequest(() => pool.query('select * from counter')))).toEqual(['primary']),
    { timeout: 20_000 },
  )
})

afterAll(() => pool.end())

/** Sends a text, with values or without. */
type Send = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>

const rolesOf = async (fn: () => unknown) => (await routesOf(fn)).map(({ role }) => role)

/** Runs `work` in a read-only transaction that is committed after it. */
const CLIENTS: Readonly<
  Record<string, (work: (send: Send) => Promise<void>, modes?: string) => Promise<void>>
> = {
  'Kysely’s transaction()': (work) =>
    shop.db
      .transaction()
      .setAccessMode('read only')
      .execute((trx) => work(sendingBy(trx))),
  'Kysely’s startTransaction()': async (work) => {
    const trx = await shop.db.startTransaction().setAccessMode('read only').execute()
    try {
      await work(sendingBy(trx))
    } catch (error) {
      await trx.rollback().execute()
      throw error
    }
    await trx.commit().execute()
  },
  'a raw begin': (work) => inRaw('begin read only', work),
  'a raw start transaction': (work) =>
    inRaw('start transaction isolation level repeatable read, read only', work),
}

function sendingBy(on: Kysely<Database>): Send {
  return async (text) => (await sql.raw<Record<string, unknown>>(text).execute(on)).rows
}

async function inRaw(begin: string, work: (send: Send) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query(begin)
    await work(async (text, values) => (await client.query(text, values)).rows)
    await client.query('commit')
  } catch (error) {
    await client.query('rollback')
    throw error
  } finally {
    client.release()
  }
}

const IS_REPLICA = 'select pg_is_in_recovery() as it'

describe.each(Object.entries(CLIENTS))('%s', (_name, inTransaction) => {
  const works = [
    'select * from counter',
    'select * from part',
    "select pg_notify('c', 'x')",
    "notify c, 'x'",
    'listen c',
    'unlisten *',
    'select txid_current()',
    'select pg_current_xact_id()',
    'lock table item in access exclusive mode',
    'select pg_current_wal_lsn()',
    'select * from listed',
    'select named()',
    'select pg_try_advisory_xact_lock(9)',
    'set transaction isolation level serializable',
    'set transaction read write',
    'set local transaction_read_only = off',
    'declare c cursor for select * from counter',
  ]
  test.each(works)('that begins with %s runs on the primary', async (text) => {
    const roles = await rolesOf(() =>
      inRequest(() =>
        inTransaction(async (send) => {
          await send(text)
          expect(await send(IS_REPLICA)).toEqual([{ it: false }])
        }),
      ),
    )
    expect(roles.at(-1)).toBe('primary')
  })

  const stays = [
    'select * from item',
    "set local statement_timeout = '5s'",
    "set statement_timeout = '5s'",
    "select set_config('app.tenant', '7', true)",
    'savepoint a',
    'show all',
    'explain select * from item',
    'declare c cursor for select * from item',
    'set transaction isolation level read committed',
  ]
  test.each(stays)('that begins with %s stays on a replica', async (text) => {
    const roles = await rolesOf(() =>
      inRequest(() =>
        inTransaction(async (send) => {
          await send(text)
          expect(await send(IS_REPLICA)).toEqual([{ it: true }])
        }),
      ),
    )
    expect(new Set(roles)).toEqual(new Set(['replica']))
  })
})

/** Begins a read-only transaction in a request of its own, and goes on in that. */
function begun<T>(work: (trx: ControlledTransaction<Database>) => Promise<T>, db = shop.db): Promise<T> {
  return inRequest(async () => {
    const trx = await db
      .startTransaction()
      .setAccessMode('read only')
      .setIsolationLevel('repeatable read')
      .execute()
    try {
      return await work(trx)
    } finally {
      await trx.rollback().execute()
    }
  })
}

const isOnReplica = async (on: Kysely<Database>) => (await sendingBy(on)(IS_REPLICA))[0]?.it
const nodeOf = async (on: Kysely<Database>) => {
  const [row] = await sendingBy(on)('select inet_server_port() as port')
  return cluster.nodes.find(({ port }) => port === row?.port)?.name
}
const settingOf = async (on: Kysely<Database>) =>
  (await sendingBy(on)("select current_setting('app.tenant', true) as it"))[0]?.it

describe('between BEGIN and the first statement', () => {
  test('a write of the same request sends it to the primary, which sees it', () =>
    begun(async (trx) => {
      await shop.insert('meanwhile')
      const names = await trx.selectFrom('item').select('name').execute()
      expect(names).toContainEqual({ name: 'meanwhile' })
      expect(await isOnReplica(trx)).toBe(false)
    }))

  test('a scope may be entered', async () => {
    await begun(async (trx) => expect(await usePrimary(() => isOnReplica(trx))).toBe(false))
    for (const { name } of cluster.replicas) {
      await begun(async (trx) => {
        expect(await useNode(name, () => nodeOf(trx))).toBe(name)
        expect(await nodeOf(trx)).toBe(name)
      })
      await usePrimary(() =>
        begun(async (trx) => {
          expect(await useNode(name, () => nodeOf(trx))).toBe(name)
        }),
      )
    }
    const pinned = openRequest({ pinnedUntilMs: Date.now() + 60_000 })
    await pinned.run(async () => {
      const trx = await shop.db.startTransaction().setAccessMode('read only').execute()
      expect(await useReplica(() => isOnReplica(trx))).toBe(true)
      expect(await isOnReplica(trx)).toBe(true)
      await trx.commit().execute()
    })
  })

  test('a scope binds nothing that was left in the session of the primary', () =>
    inRequest(() =>
      shop.db.connection().execute(async (on) => {
        await sql`set app.tenant = 'of the session'`.execute(on)
        const trx = await on.startTransaction().setAccessMode('read only').execute()
        expect(await useReplica(() => settingOf(trx))).toBe('of the session')
        await trx.commit().execute()
        await sql`reset app.tenant`.execute(on)
      }),
    ))

  test('an exact pin may come, which is proven before it begins anew', async () => {
    const { openAgent } = await shop.serveShop(shop.open(OPTIONS))
    const agent = openAgent()
    /** Whether the transaction sees what was written, and whether that is on a replica. */
    const readPinned = async (name: string) => {
      await agent.post(`/items/${name}`)
      if (name === 'in time') await cluster.waitForCatchup()
      const token = await agent.pin()
      return await begun((trx) =>
        runWithPin(
          token,
          async () => {
            const found = await trx.selectFrom('item').select('id').where('name', '=', name).execute()
            return [found.length, await isOnReplica(trx)]
          },
          { secret: SECRET },
        ),
      )
    }
    expect(await readPinned('in time')).toEqual([1, true])
    for (const replica of cluster.replicas) await replica.pauseReplay()
    shop.atEnd(async () => {
      for (const replica of cluster.replicas) await replica.resumeReplay()
      await cluster.waitForCatchup()
    })
    expect(await readPinned('late')).toEqual([1, false])
  })

  test('its replica may die: another node serves', async () => {
    const proxies = await Promise.all(cluster.replicas.map((replica) => TcpProxy.start(replica)))
    const db = shop.open({ replicas: proxies.map(({ connectionString }) => connectionString) })
    shop.atEnd(() => Promise.all(proxies.map((proxy) => proxy.stop())))
    await begun(async (trx) => {
      await sql`set local app.tenant = '7'`.execute(trx)
      await sql`savepoint here`.execute(trx)
      for (const proxy of proxies) proxy.cut()
      expect(await settingOf(trx)).toBe('7')
      await sql`rollback to here`.execute(trx)
      expect(await settingOf(trx)).toBe('7')
    }, db)
    await begun(async (trx) => {
      for (const proxy of proxies) await proxy.refuse()
      for (const proxy of proxies) proxy.cut()
      expect(await isOnReplica(trx)).toBe(false)
    }, db)
  })
})

describe('what only prepares it is there where it begins anew', () => {
  test('a setting, by a text or a function, and a savepoint', () =>
    begun(async (trx) => {
      const named = await trx.savepoint('first').execute()
      await sql`select set_config('app.tenant', ${'7'}, true)`.execute(named)
      await sql`set local statement_timeout = '123s'`.execute(named)
      await sql`select * from counter`.execute(named)
      expect(await isOnReplica(named)).toBe(false)
      expect(await settingOf(named)).toBe('7')
      expect(await sendingBy(named)('show statement_timeout')).toEqual([{ statement_timeout: '123s' }])
      await named.rollbackToSavepoint('first').execute()
      expect(await settingOf(trx)).toBe('')
    }))

  test('nothing of it is left in the session that it has left', async () => {
    const db = shop.open({ replicas: [{ pool: cluster.replicas[0]?.connectionString ?? '' }] })
    await begun(async (trx) => {
      await sql`set local app.tenant = '7'`.execute(trx)
      await sql`select * from counter`.execute(trx)
    }, db)
    await begun(async (trx) => {
      expect(await settingOf(trx)).toBeOneOf([null, ''])
      expect(await isOnReplica(trx)).toBe(true)
    }, db)
  })

  test('with a `from` it reads as well, and binds', () =>
    begun(async (trx) => {
      await sql`select set_config('app.tenant', 'x', true) from listed`.execute(trx)
      expect(await isOnReplica(trx)).toBe(false)
    }))
})

describe('the first statement may come', () => {
  test('as a stream', () =>
    begun(async (trx) => {
      for await (const _ of trx.selectFrom('item').select('id').stream(1));
      expect(await isOnReplica(trx)).toBe(true)
    }))

  test('as a stream of what the primary has', () =>
    begun(async (trx) => {
      for await (const _ of trx
        .selectFrom('counter' as 'item')
        .select('id')
        .stream(1));
      expect(await isOnReplica(trx)).toBe(false)
    }))

  const inClient = (work: (client: PoolClient) => Promise<void>) =>
    inRequest(async () => {
      const client = await pool.connect()
      try {
        await client.query('begin read only')
        await work(client)
        await client.query('commit')
      } finally {
        client.release()
      }
    })
  const isReplicas = async (client: PoolClient) => (await client.query(IS_REPLICA)).rows[0]?.it

  test('as a cursor', async () => {
    for (const [table, expected] of [
      ['item', true],
      ['part', false],
      ['counter', false],
    ] as const) {
      await inClient(async (client) => {
        const cursor = client.query(new Cursor(`select * from ${table} where id > $1`, [0]))
        await cursor.read(1)
        await cursor.close()
        expect(await isReplicas(client)).toBe(expected)
      })
    }
  })

  test('with values and a name', async () => {
    for (const [table, expected] of [
      ['item', true],
      ['part', false],
    ] as const) {
      await inClient(async (client) => {
        const query = { name: `of ${table}`, text: `select * from ${table} where id = $1`, values: [-1] }
        expect((await client.query(query)).rows).toEqual([])
        expect((await client.query(query)).rows).toEqual([])
        expect(await isReplicas(client)).toBe(expected)
      })
    }
  })

  test('never: it is committed, or rolled back, or its client is released', async () => {
    await inClient(async () => {})
    await inClient(async (client) => {
      await client.query('rollback')
    })
    await inRequest(async () => {
      const client = await pool.connect()
      await client.query('begin read only')
      client.release()
    })
    await inRequest(async () => {
      const { rows } = await pool.query('select now() = statement_timestamp() as it')
      expect(rows).toEqual([{ it: true }])
    })
    await vi.waitFor(() => expect(busyOf(pool)).toEqual([0, 0, 0]))
  })

  test('once more, behind `and chain`', () =>
    inClient(async (client) => {
      expect(await isReplicas(client)).toBe(true)
      await client.query('commit and chain')
      expect((await client.query('select * from part')).rows).toEqual([])
      expect(await isReplicas(client)).toBe(false)
      await expect(client.query("insert into item (name) values ('never')")).rejects.toThrow(/read-only/)
      await client.query('rollback and chain')
      expect(await isReplicas(client)).toBe(false)
    }))

  test('behind `and chain`, with the modes that were set', () =>
    inClient(async (client) => {
      await client.query('set transaction isolation level repeatable read')
      expect(await isReplicas(client)).toBe(true)
      await client.query('commit and chain')
      expect((await client.query('show transaction_isolation')).rows).toEqual([
        { transaction_isolation: 'repeatable read' },
      ])
    }))

  test('and fail: the transaction has failed then, as with plain pg', async () => {
    for (const [text, code] of [
      ['select from from', '42601'],
      ['select 1 / 0', '22012'],
      ['select * from nowhere', '42P01'],
      ["insert into item (name) values ('never')", '25006'],
      ['select * from item for update', '25006'],
      ["set local statement_timeout = 'x'", '22023'],
    ]) {
      await inRequest(async () => {
        const client = await pool.connect()
        await client.query('begin read only')
        await expect(client.query(text as string)).rejects.toMatchObject({ code })
        await expect(client.query('select 1')).rejects.toMatchObject({ code: '25P02' })
        expect((await client.query('commit')).command).toBe('ROLLBACK')
        client.release()
      })
    }
  })

  test('and take too long', () =>
    begun(async (trx) => {
      await sql`set local statement_timeout = '20ms'`.execute(trx)
      await expect(sql`select pg_sleep(30)`.execute(trx)).rejects.toMatchObject({ code: '57014' })
      await expect(sql`select 1`.execute(trx)).rejects.toMatchObject({ code: '25P02' })
    }))
})

test('where no replica is fit each takes one turn on the primary, and gives it back', async () => {
  const watched = await shop.watch(
    { primary: { connectionString: cluster.primary.connectionString, max: 2 } },
    { counts: false },
  )
  for (const { name } of cluster.replicas) watched.dialect.drain(name)
  const read = () => begun(async (trx) => expect(await isOnReplica(trx)).toBe(false), watched.db)
  await Promise.all(Array.from({ length: 5 }, read))
  await begun(async (trx) => {
    for (const { name } of cluster.replicas) watched.dialect.resume(name)
    await usePrimary(() => isOnReplica(trx))
  }, watched.db)
  // It has begun on a replica that serves nobody by then.
  await begun(async (trx) => {
    for (const { name } of cluster.replicas) watched.dialect.drain(name)
    expect(await isOnReplica(trx)).toBe(false)
  }, watched.db)
  await Promise.all(Array.from({ length: 5 }, read))
})

describe('a later statement that belongs to the primary fails, and says what to write', () => {
  const refused = {
    'an advisory lock': 'select pg_advisory_lock(9)',
    'one of the transaction': 'select pg_try_advisory_xact_lock(9)',
    'a lock of a table': 'lock table item in access share mode',
    'a channel': 'listen c',
    'a notification': 'notify c',
    'a function of the WAL': 'select pg_current_wal_lsn()',
    'what the server knows of transactions': 'select pg_current_snapshot()',
    'an unlogged table': 'select * from counter',
    'a parent of one': 'select * from part',
    'a table that is named': 'select * from listed',
    'a function that is named': 'select named()',
    'a cursor of one of them': 'declare c cursor for select * from listed',
  }
  test.each(Object.entries(refused))('%s is not sent', async (_name, text) => {
    await begun(async (trx) => {
      expect(await isOnReplica(trx)).toBe(true)
      const routes = await routesOf(() =>
        expect(sql.raw(text).execute(trx)).rejects.toMatchObject({
          code: 'ERR_WRITE_PINNING_ONLY_ON_PRIMARY',
          message: expect.stringMatching(/usePrimary\(\).*not sent|not sent.*usePrimary\(\)/),
        }),
      )
      expect(routes).toEqual([])
      // Nothing has failed on the server.
      expect(await isOnReplica(trx)).toBe(true)
    })
  })

  test.each(["select pg_notify('c', 'x')", 'select txid_current()'])(
    '%s is told why the server refused it',
    async (text) => {
      await begun(async (trx) => {
        await sql`savepoint here`.execute(trx)
        expect(await isOnReplica(trx)).toBe(true)
        await expect(sql.raw(text).execute(trx)).rejects.toMatchObject({
          code: 'ERR_WRITE_PINNING_ONLY_ON_PRIMARY',
          cause: expect.objectContaining({ severity: 'ERROR' }),
        })
      })
    },
  )

  test('what a read-only transaction refuses anywhere is the server’s to say', async () => {
    for (const text of [
      "select nextval('item_id_seq')",
      'delete from item',
      'select * from item for share',
    ]) {
      await begun(async (trx) => {
        expect(await isOnReplica(trx)).toBe(true)
        await expect(sql.raw(text).execute(trx)).rejects.toMatchObject({ code: '25006' })
      })
    }
  })
})
