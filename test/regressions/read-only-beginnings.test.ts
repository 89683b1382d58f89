import { type Kysely, sql } from 'kysely'
import type { PoolClient } from 'pg'
import Cursor from 'pg-cursor'
import { describe, expect, test, vi } from 'vitest'
import { runWithPin, useNode, usePrimary, useReplica } from 'write-pinning'
import type { Database } from '../support/cluster.ts'
import { SECRET } from '../support/exact.ts'
import { busyOf } from '../support/pools.ts'
import { IS_REPLICA, isOnReplica, ON_PRIMARY, sendingBy, useReadOnlyShop } from '../support/read-only.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { TcpProxy } from '../support/tcp-proxy.ts'

// What may come between the BEGIN of a read-only transaction and the statement that binds it, and how that one may come.
const { shop, pool, begun, nodeOf } = useReadOnlyShop()
const { cluster } = shop

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
    const { openAgent } = await shop.serveShop(shop.open(ON_PRIMARY))
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
      const client = await pool().connect()
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
      const client = await pool().connect()
      await client.query('begin read only')
      client.release()
    })
    await inRequest(async () => {
      const { rows } = await pool().query('select now() = statement_timestamp() as it')
      expect(rows).toEqual([{ it: true }])
    })
    await vi.waitFor(() => expect(busyOf(pool())).toEqual([0, 0, 0]))
  })

  test('never, and nothing of it is begun where its connection is lent next', () =>
    inRequest(async () => {
      const first = await pool().connect()
      await first.query('begin read only')
      first.release()
      const next = await pool().connect()
      await expect(next.query('begin; select 1 / 0')).rejects.toMatchObject({ code: '22012' })
      await expect(next.query('select 1')).rejects.toMatchObject({ code: '25P02' })
      await next.query('rollback')
      next.release()
    }))

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
        const client = await pool().connect()
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
