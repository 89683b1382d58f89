import { beforeAll, describe, expect, it } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { inRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import type { Statements } from './client.ts'
import { nodesOf } from './client.ts'
import { contract, opened, startCluster } from './contract.ts'

// One session on each node, so that every client comes to what the one before has left.
const cluster = await startCluster()
const { primary, replicas } = nodesOf(cluster)
const SINGLE = { primary: { ...primary, max: 1 }, replicas: replicas.map((each) => ({ ...each, max: 1 })) }

beforeAll(async () => {
  await cluster.primary.query('create role teller')
  await cluster.primary.query('grant select on item to teller')
  await cluster.waitForCatchup()
})

/** What is set where a read goes. */
async function settingOf(on: Statements, name: string): Promise<string | null> {
  const [row] = await on.run(`select current_setting('${name}', true) as it`)
  return row?.it
}

contract((client) => {
  const db = opened(client, cluster, SINGLE)
  const isLate = client.has.has('late')
  const connection = <T>(work: (on: Statements) => Promise<T>) =>
    inRequest(() =>
      db().connection(async (on) => {
        try {
          return await work(on)
        } finally {
          // Its pool lends the same client again, and what that has set is still set.
          if (isLate) await on.run('discard all')
        }
      }),
    )
  /** Does something on one connection, and looks at what another client finds: at once, where the session is free between two statements. */
  const isolated = async (work: (on: Statements) => Promise<unknown>, look: () => Promise<unknown>) => {
    await connection(async (on) => {
      await work(on)
      if (isLate) await look()
    })
    await look()
  }
  const onEach = async (read: () => Promise<unknown>) => [await useReplica(read), await usePrimary(read)]
  /** What the next client finds on both nodes. */
  const next = (name: string) => connection((on) => onEach(() => settingOf(on, name)))

  describe('what a client sets', () => {
    it('follows it from the replica to the primary, and back to no other client', async () => {
      const [before] = await next('timezone')
      const routes = await whereAndWhy(() =>
        isolated(
          async (on) => {
            await on.run("set timezone to 'Asia/Tokyo'")
            expect(await settingOf(on, 'timezone')).toBe('Asia/Tokyo')
            await on.add('later')
            expect(await settingOf(on, 'timezone')).toBe('Asia/Tokyo')
          },
          async () => expect(await next('timezone')).toEqual([before, before]),
        ),
      )
      const roles = routes.map((route) => route.split(':')[0])
      expect(roles.slice(0, 4)).toEqual(['replica', 'replica', 'primary', 'primary'])
    })

    it.each([
      ['search_path', 'set search_path = pg_catalog, "$user"', 'pg_catalog, "$user"'],
      ['search_path', "set schema 'pg_catalog'", 'pg_catalog'],
      ['TimeZone', "set session time zone 'Asia/Tokyo'", 'Asia/Tokyo'],
      ['TimeZone', "set time zone interval '-08:00' hour to minute", '<-08>+08'],
      ['client_min_messages', 'set client_min_messages to warning', 'warning'],
      ['client_encoding', "set names 'LATIN1'", 'LATIN1'],
      ['role', 'set role teller', 'teller'],
      ['session_authorization', 'set session authorization teller', 'teller'],
      ['app.tenant', "set app.tenant = 'one'", 'one'],
      ['app.tenant', "select set_config('app.tenant', 'o''ne', false)", "o'ne"],
      ['work_mem', "set work_mem to '5MB'; set timezone to utc; set jit = off;", '5MB'],
    ])('%s, by %s', async (name, text, value) => {
      const without = (it: unknown) => it || null
      const before = (await next(name)).map(without)
      await isolated(
        async (on) => {
          await on.run(text)
          expect(await onEach(() => settingOf(on, name))).toEqual([value, value])
        },
        async () => expect((await next(name)).map(without)).toEqual(before),
      )
    })

    it('may be a parameter', async () => {
      const value = 'it\'s "me"'
      await isolated(
        async (on) => {
          await on.run('select set_config($1, $2, false)', ['app.tenant', value])
          expect(await onEach(() => settingOf(on, 'app.tenant'))).toEqual([value, value])
        },
        async () => expect((await next('app.tenant')).map((it) => it || null)).toEqual([null, null]),
      )
    })

    it('is taken back by `reset`, `reset all`, `discard all` and `set … to default`', async () => {
      const [before] = await next('timezone')
      const texts = [
        'reset timezone',
        'reset all',
        'discard all',
        'set time zone local',
        'set timezone to default',
      ]
      for (const text of texts) {
        await connection(async (on) => {
          await on.run("set timezone to 'Asia/Tokyo'")
          expect(await settingOf(on, 'timezone'), text).toBe('Asia/Tokyo')
          await on.run(text)
          expect(await onEach(() => settingOf(on, 'timezone')), text).toEqual([before, before])
        })
      }
    })

    it('holds where the statement behind it fails', async () => {
      await connection(async (on) => {
        await on.run("set app.tenant = 'one'")
        await usePrimary(() => expect(on.run('select 1 / 0')).rejects.toThrow())
        expect(await onEach(() => settingOf(on, 'app.tenant'))).toEqual(['one', 'one'])
      })
    })

    it('is what the server makes of it: what it refuses is not set', async () => {
      const [before] = await next('timezone')
      await connection(async (on) => {
        await expect(on.run("set timezone to 'nowhere'")).rejects.toThrow()
        await expect(on.run("set work_mem to '5MB'; set timezone to 'nowhere'")).rejects.toThrow()
        expect(await onEach(() => settingOf(on, 'timezone'))).toEqual([before, before])
        expect(await onEach(() => settingOf(on, 'work_mem'))).toEqual(['4MB', '4MB'])
      })
    })
  })

  describe('in a transaction', () => {
    const inTransaction = (end: string, ...texts: string[]) =>
      connection(async (on) => {
        await on.run("set app.tenant = 'before'")
        await on.run('begin')
        for (const text of texts) await on.run(text).catch(() => {})
        await on.run(end)
        return await onEach(() => settingOf(on, 'app.tenant'))
      })

    it.each([
      ['commit', ["set app.tenant = 'in it'"], 'in it'],
      ['rollback', ["set app.tenant = 'in it'"], 'before'],
      ['commit', ["set local app.tenant = 'in it'"], 'before'],
      ['commit', ["select set_config('app.tenant', 'in it', true)"], 'before'],
      ['commit', ["set app.tenant = 'in it'", 'select 1 / 0'], 'before'],
      ['commit', ["set app.tenant = 'one'", 'savepoint a', "set app.tenant = 'two'", 'rollback to a'], 'one'],
      ['commit', ['savepoint a', "set app.tenant = 'two'", 'rollback to savepoint a'], 'before'],
      ['commit', ['savepoint a', "set app.tenant = 'two'", 'release savepoint a'], 'two'],
      ['rollback', ['savepoint a', "set app.tenant = 'two'", 'release savepoint a'], 'before'],
      ['commit', ["set app.tenant = 'in it'", 'reset app.tenant'], ''],
      ['rollback', ['reset app.tenant'], 'before'],
      ['commit and chain; rollback', ["set app.tenant = 'in it'"], 'in it'],
    ])('what `%s` leaves of %j is %j', async (end, texts, left) => {
      const [first = '', ...ends] = end.split('; ')
      const more = ends.length > 0 ? [first] : []
      expect(await inTransaction(ends[0] ?? first, ...texts, ...more)).toEqual([left, left])
    })
  })
}, 'connection')
