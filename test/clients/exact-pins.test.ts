import { describe, expect, it } from 'vitest'
import { pinCookie } from '../support/http.ts'
import { routesOf } from '../support/routes.ts'
import { contract, opened, startCluster, withReplayPaused } from './contract.ts'
import { serving } from './shop.ts'

const cluster = await startCluster(2)
withReplayPaused(cluster)

const OPTIONS = { pin: 'exact', secret: 'a secret of at least thirty-two characters' }

contract((client) => {
  const db = opened(client, cluster)
  const serve = serving(db)

  describe('under an exact pin', () => {
    it.each([
      ['a POST', (on: ReturnType<typeof db>) => on.add('lamp')],
      ['a transaction', (on: ReturnType<typeof db>) => on.transaction((inside) => inside.add('lamp'))],
    ])(
      'whoever wrote by %s sees it, from the primary at first, and then from a replica',
      async (_by, write) => {
        const routes = { 'POST /order': async () => ({ body: await write(db()).then(() => 'done') }) }
        const user = (await serve(OPTIONS, routes))()
        const wrote = await user.post('/order')
        expect(pinCookie(wrote)).toContain('Max-Age=15')
        const read = async () => {
          const [route] = await routesOf(async () =>
            expect((await user.get('/items')).json()).toEqual(['lamp']),
          )
          return route
        }
        expect(await read()).toMatchObject({ role: 'primary', reason: 'pin' })
        for (const replica of cluster.replicas) await replica.resumeReplay()
        await cluster.waitForCatchup()
        expect(await read()).toMatchObject({ role: 'replica', reason: 'pin' })
      },
    )

    it('whoever wrote nothing reads from a replica', async () => {
      const newUser = await serve(OPTIONS)
      await newUser().post('/items')
      const [route] = await routesOf(() => newUser().get('/items'))
      expect(route).toMatchObject({ role: 'replica', reason: 'read' })
    })
  })
})
