import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { usePrimary } from 'write-pinning'
import { inRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { terminateClients } from '../support/server-clients.ts'
import type { Statements } from './client.ts'
import { contract, opened, startCluster } from './contract.ts'

const cluster = await startCluster()

const locksHeld = async (on: Statements) =>
  (
    await on.run(
      "select count(*)::int as n from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()",
    )
  )[0]?.n

contract((client) => {
  const db = opened(client, cluster)

  it('what locks something for the session runs on the primary', async () => {
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        await db().run('select pg_advisory_lock(1)::text, pg_advisory_unlock(1)')
      }),
    )
    expect(new Set(routes)).toEqual(new Set(['primary: session']))
  })

  it('a transaction holds its advisory lock until it ends, and others wait for it', async () => {
    const order: string[] = []
    await inRequest(async () => {
      let second: Promise<unknown> | undefined
      await db().transaction(async (inside) => {
        await inside.run('select pg_advisory_xact_lock(2)::text')
        second = db().transaction(async (other) => {
          await other.run('select pg_advisory_xact_lock(2)::text')
          order.push('second')
        })
        await expect.poll(() => waiting()).toBe(1)
        order.push('first')
      })
      await second
    })
    expect(order).toEqual(['first', 'second'])
  })
})

contract((client) => {
  const db = opened(client, cluster)

  describe('a connection', () => {
    const isLate = client.has.has('late')

    it('takes no session before its first statement, and moves to the primary at the first that needs it', async () => {
      const busy = () =>
        db()
          .control.status()
          .nodes.map((node) => node.busy)
      const routes = await whereAndWhy(() =>
        inRequest(() =>
          db().connection(async (on) => {
            expect(busy()).toEqual([0, 0])
            await on.names()
            expect(busy()).toEqual(isLate ? [0, 0] : [0, 1])
            await on.run("insert into item (name) values ('moved')")
            expect(busy()).toEqual(isLate ? [0, 0] : [1, 0])
            expect(await on.names()).toEqual(['moved'])
          }),
        ),
      )
      expect(routes).toEqual(['replica: read', 'primary: write', 'primary: own-write'])
    })

    it('keeps an advisory lock of its session until it lets go of it', async () => {
      await inRequest(() =>
        db().connection(async (on) => {
          await on.names()
          await on.run('select pg_advisory_lock(3)')
          expect(await locksHeld(on)).toBe(1)
          await on.names()
          expect(await locksHeld(on)).toBe(1)
          await on.run('select pg_advisory_unlock(3)')
          expect(await locksHeld(on)).toBe(0)
        }),
      )
    })

    it('keeps a setting and a temporary table of its session', async () => {
      await inRequest(() =>
        db().connection(async (on) => {
          await on.run("set statement_timeout = '12s'")
          await on.run("create temporary table basket as select 'lamp' as name")
          expect(await on.run('select name from basket')).toEqual([{ name: 'lamp' }])
          expect(await on.run("select current_setting('statement_timeout') as it")).toEqual([{ it: '12s' }])
          await on.run('drop table basket')
          await on.run('reset statement_timeout')
        }),
      )
    })

    it('runs a transaction that is begun by its text', async () => {
      await inRequest(() =>
        db().connection(async (on) => {
          await on.names()
          await on.run('begin')
          await on.run("insert into item (name) values ('never')")
          expect(await on.names()).toEqual(['never'])
          await on.run('rollback')
          expect(await on.names()).toEqual([])
        }),
      )
    })
  })
}, 'connection')

contract((client) => {
  const db = opened(client, cluster)

  it('LISTEN moves a connection to the primary, with its listeners, and its notifications come', async () => {
    await inRequest(() =>
      db().lend(async (lent) => {
        const told = once(lent, 'notification')
        await lent.query('select 1')
        await lent.query('listen news')
        await db().run("select pg_notify('news', 'hello')")
        const [{ channel, payload }] = await told
        expect({ channel, payload }).toEqual({ channel: 'news', payload: 'hello' })
        const again = once(lent, 'notification')
        await db().run("notify news, 'again'")
        expect((await again)[0].payload).toBe('again')
        await lent.query('unlisten *')
      }),
    )
  })

  it('a connection that listens tells of it where it is lost', async () => {
    await inRequest(async () => {
      await db().lend(async (lent) => {
        await lent.query('listen news')
        const lost = once(lent, 'error')
        lent.on('error', () => {})
        await terminateClients(cluster.primary)
        expect((await lost)[0]).toBeInstanceOf(Error)
      })
      expect(await usePrimary(() => db().names())).toEqual([])
    })
  })

  it('a notice comes from whichever node the connection is on', async () => {
    const raise = (text: string) => `do $$ begin raise warning '${text}'; end $$`
    await inRequest(() =>
      db().lend(async (lent) => {
        const notices: (string | undefined)[] = []
        lent.on('notice', ({ message }) => notices.push(message))
        await lent.query('select 1')
        await lent.query(raise('first'))
        await lent.query(raise('second'))
        expect(notices).toEqual(['first', 'second'])
      }),
    )
  })
}, 'lend')

/** How many wait for an advisory lock. */
async function waiting(): Promise<number> {
  const locks = await cluster.primary.query(
    "select 1 from pg_locks where locktype = 'advisory' and not granted",
  )
  return locks.length
}
