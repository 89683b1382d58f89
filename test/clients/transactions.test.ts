import { describe, expect, it } from 'vitest'
import { pinCookie } from '../support/http.ts'
import { inRequest, openRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { clientsOf } from '../support/server-clients.ts'
import { APPLICATION, type Statements } from './client.ts'
import { contract, opened, startCluster, terminateRunning, WAIT, withReplayPaused } from './contract.ts'
import { serving } from './shop.ts'

const cluster = await startCluster()
withReplayPaused(cluster)

await cluster.primary.query('create table slow (id int)')
await cluster.primary.query(
  `create function sleep() returns trigger language plpgsql as 'begin perform pg_sleep(30); return null; end'`,
)
// A commit that takes its time.
await cluster.primary.query(
  `create constraint trigger slow_commit after insert on slow deferrable initially deferred
   for each row execute function sleep()`,
)

const namesOnPrimary = async () =>
  (await cluster.primary.query('select name from item order by id')).map(({ name }) => name)

contract((client) => {
  const db = opened(client, cluster)
  const serve = serving(db)

  describe('a transaction', () => {
    it('reads its own writes, all on one connection to the primary', async () => {
      const request = openRequest()
      const routes = await routesOf(() =>
        request.run(() =>
          db().transaction(async (inside) => {
            const pid = async () => (await inside.run('select pg_backend_pid() as pid'))[0]?.pid
            const before = await pid()
            expect(await inside.names()).toEqual([])
            await inside.add('lamp')
            expect(await inside.rename('lamp', 'light')).toBe(1)
            expect(await inside.names()).toEqual(['light'])
            expect(await pid()).toBe(before)
          }),
        ),
      )
      expect(routes.length).toBeGreaterThan(0)
      expect(routes.filter(({ role }) => role === 'replica')).toEqual([])
      expect(request.memory.wroteTo).toEqual(new Set(['default']))
      expect(await namesOnPrimary()).toEqual(['light'])
    })

    it('that is committed pins, and the next page shows what it wrote', async () => {
      const userAgent = await serve(
        {},
        {
          'GET /order': async () => {
            await db().transaction((inside) => inside.add('order'))
            return { body: await db().names() }
          },
        },
      )
      const user = userAgent()
      const ordered = await user.get('/order')
      expect(ordered.json()).toEqual(['order'])
      expect(pinCookie(ordered)).toBeDefined()
      expect((await user.get('/items')).json()).toEqual(['order'])
    })

    it('that fails leaves nothing, and its connection serves the next one', async () => {
      for (const _ of Array.from({ length: 15 })) {
        const failing = db().transaction(async (inside) => {
          await inside.add('never')
          await inside.run('select 1 / 0')
        })
        await expect(failing).rejects.toThrow()
      }
      await db().transaction((inside) => inside.add('lamp'))
      expect(await namesOnPrimary()).toEqual(['lamp'])
    })

    it('that is over leaves no trace in the reads that follow', async () => {
      await openRequest().run(() => db().transaction((inside) => inside.names()))
      const routes = await routesOf(() => openRequest().run(() => db().names()))
      expect(routes).toMatchObject([{ role: 'replica', reason: 'read' }])
    })

    it('goes back to a savepoint, and keeps what was before it', async () => {
      await db().transaction(async (inside) => {
        await inside.add('kept')
        await inside.run('savepoint here')
        await inside.add('dropped')
        await inside.run('rollback to savepoint here')
      })
      expect(await namesOnPrimary()).toEqual(['kept'])
    })

    it('waits for its turn where many are begun at once, each on its own connection', async () => {
      const many = Array.from({ length: 30 }, (_, at) =>
        openRequest().run(() =>
          db().transaction(async (inside) => {
            await inside.add(`item ${at}`)
            expect(await inside.rename(`item ${at}`, `thing ${at}`)).toBe(1)
          }),
        ),
      )
      await Promise.all(many)
      expect((await namesOnPrimary()).toSorted()).toEqual(many.map((_, at) => `thing ${at}`).toSorted())
    })

    it('whose connection is lost at COMMIT fails, and pins: nobody knows what became of it', async () => {
      const userAgent = await serve(
        {},
        {
          'GET /': async () => ({
            body: await db().transaction((inside) => inside.run('insert into slow values (1)')),
          }),
        },
      )
      const answer = userAgent().get('/')
      await terminateRunning(cluster.primary, /^commit/i)
      expect((await answer).status).toBe(500)
      expect(pinCookie(await answer)).toBeDefined()
      expect(await db().names()).toEqual([])
    })

    it('whose connection is lost before COMMIT fails, and pins nobody: it cannot have been committed', async () => {
      const request = openRequest()
      const lost = request.run(() =>
        db().transaction(async (inside) => {
          await inside.add('never')
          await inside.run('select pg_sleep(30)')
        }),
      )
      const failed = expect(lost).rejects.toThrow()
      await terminateRunning(cluster.primary, /pg_sleep/)
      await failed
      expect(request.memory.wroteTo).toBeUndefined()
      expect(await namesOnPrimary()).toEqual([])
    })
  })
})

contract((client) => {
  const db = opened(client, cluster)
  const committing = (work: (on: Statements) => Promise<unknown>) =>
    db().connection(async (on) => {
      await on.run('begin')
      await work(on)
      await on.run('commit')
    })

  it('a commit that the server answers with a rollback pins nobody', async () => {
    const request = openRequest()
    await request.run(() =>
      committing(async (on) => {
        await on.run("insert into item (name) values ('never')")
        await expect(on.run('select 1 / 0')).rejects.toThrow()
      }),
    )
    expect(request.memory.wroteTo).toBeUndefined()
    expect(await namesOnPrimary()).toEqual([])
  })

  it('a commit of what only read pins nobody, and of what wrote pins', async () => {
    const reading = openRequest()
    await reading.run(() => committing((on) => on.names()))
    expect(reading.memory.wroteTo).toBeUndefined()
    const writing = openRequest()
    await writing.run(() => committing((on) => on.run("insert into item (name) values ('lamp')")))
    expect(writing.memory.wroteTo).toEqual(new Set(['default']))
  })

  it('a connection that is given back within a transaction leaves none open, and nothing of it', async () => {
    await inRequest(() =>
      db().connection(async (on) => {
        await on.run('begin')
        await on.run("insert into item (name) values ('never')")
      }),
    )
    await expect
      .poll(() => clientsOf(cluster.primary, APPLICATION), WAIT)
      .not.toContainEqual(expect.objectContaining({ state: 'idle in transaction' }))
    await inRequest(() => db().run("insert into item (name) values ('lamp')"))
    expect(await namesOnPrimary()).toEqual(['lamp'])
  })
}, 'connection')

contract((client) => {
  const db = opened(client, cluster)

  it('a read only transaction runs on one connection to a replica, and writes nothing', async () => {
    const request = openRequest()
    await request.run(async () => {
      await db().readOnlyTransaction(async (inside) => {
        const [first] = await inside.run('select pg_backend_pid() as pid, pg_is_in_recovery() as replica')
        const [second] = await inside.run('select pg_backend_pid() as pid, pg_is_in_recovery() as replica')
        expect(first?.replica).toBe(true)
        expect(second).toEqual(first)
      })
      await expect(db().readOnlyTransaction((inside) => inside.add('never'))).rejects.toThrow()
    })
    expect(request.memory.wroteTo).toBeUndefined()
    expect(await namesOnPrimary()).toEqual([])
  })

  it('a read only transaction runs on the primary where its first statement belongs there', async () => {
    const request = openRequest()
    await request.run(() =>
      db().readOnlyTransaction(async (inside) => {
        expect(await inside.run('select pg_current_wal_lsn() is not null as it')).toEqual([{ it: true }])
        const [at] = await inside.run('select pg_is_in_recovery() as replica')
        expect(at?.replica).toBe(false)
      }),
    )
    expect(request.memory.wroteTo).toBeUndefined()
  })

  it('a read only transaction under a pin runs on the primary', async () => {
    await cluster.primary.query("insert into item (name) values ('fresh')")
    const pinned = openRequest({ pinnedUntilMs: Date.now() + 60_000 })
    const names = await pinned.run(() => db().readOnlyTransaction((inside) => inside.names()))
    expect(names).toEqual(['fresh'])
  })
}, 'read only')
