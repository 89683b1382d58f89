import { describe, expect, it } from 'vitest'
import { pinCookie } from '../support/http.ts'
import { openRequest } from '../support/request.ts'
import { routesOf, whereAndWhy } from '../support/routes.ts'
import { contract, opened, startCluster, withReplayPaused } from './contract.ts'
import { serving } from './shop.ts'

const cluster = await startCluster()
withReplayPaused(cluster)

contract((client) => {
  const db = opened(client, cluster)
  const serve = serving(db)

  it('a page is read from a replica, and pins nobody', async () => {
    const user = (await serve())()
    const routes = await whereAndWhy(async () => {
      const page = await user.get('/items')
      expect(page.json()).toEqual([])
      expect(page.setCookies).toEqual([])
    })
    expect(routes).toEqual(['replica: read'])
  })

  it('a POST pins: the next page shows what it wrote, and nobody else sees it yet', async () => {
    const newUser = await serve()
    const user = newUser()
    expect(pinCookie(await user.post('/items'))).toContain('Max-Age=15')
    expect((await user.get('/items')).json()).toEqual(['lamp'])
    expect((await newUser().get('/items')).json()).toEqual([])
  })

  it('a GET that writes pins: it sees what it wrote, and so does the next page', async () => {
    const user = (await serve())()
    const visit = await user.get('/visit')
    expect(visit.json()).toEqual(['visit'])
    expect(pinCookie(visit)).toContain('Max-Age=15')
    expect((await user.get('/items')).json()).toEqual(['visit'])
  })

  it('a write is one on the primary, by whichever text', async () => {
    const routes = await routesOf(async () => {
      await db().add('a')
      await db().rename('a', 'b')
      await db().run("insert into item (name) values ('c')")
      await db().run("with new as (insert into item (name) values ('d') returning name) select name from new")
      await db().run("delete from item where name = 'c'")
    })
    expect(routes.every(({ role }) => role === 'primary')).toBe(true)
    expect(await cluster.primary.query('select name from item order by id')).toEqual([
      { name: 'b' },
      { name: 'd' },
    ])
  })

  describe('what pins nobody', () => {
    const pinsAfter = async (work: () => Promise<unknown>) => {
      const routes = { 'GET /': async () => ({ body: await work() }) }
      return pinCookie(await (await serve({}, routes))().get('/')) !== undefined
    }

    it('is an update of no row, after which the request reads fresh all the same', async () => {
      const routes = await whereAndWhy(async () => {
        const pins = await pinsAfter(async () => {
          expect(await db().rename('nobody', 'somebody')).toBe(0)
          await db().names()
        })
        expect(pins).toBe(false)
      })
      expect(routes.at(-1)).toBe('primary: own-write')
    })

    it('is a transaction that is rolled back', async () => {
      const rolledBack = () =>
        db().transaction(async (inside) => {
          await inside.add('never')
          throw new Error('no')
        })
      expect(await pinsAfter(() => expect(rolledBack()).rejects.toThrow('no'))).toBe(false)
      expect(await cluster.primary.query('select name from item')).toEqual([])
    })

    it('is a transaction that only read', async () => {
      expect(await pinsAfter(() => db().transaction((inside) => inside.names()))).toBe(false)
    })

    it('is a write that the server refused', async () => {
      const refused = () => db().run('insert into item (id, name) values (1, null)')
      expect(await pinsAfter(() => refused().catch(() => 'refused'))).toBe(false)
    })
  })

  it('each statement finds the context of its own request, where many wait for few connections', async () => {
    const recovering = async () => (await db().run('select pg_is_in_recovery() as it'))[0]?.it
    const requests = Array.from({ length: 60 }, (_, at) =>
      at % 2 === 0 ? openRequest() : openRequest({ pinnedUntilMs: Date.now() + 60_000 }),
    )
    const answers = await Promise.all(requests.map((request) => request.run(recovering)))
    expect(answers).toEqual(requests.map((_, at) => at % 2 === 0))
  })
})
