import { type FastifyInstance, type FastifyPluginAsync, fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { dbWrite } from 'write-pinning'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { pinCookie, type UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

const { read, insert, listen } = useShop({
  replicas: 2,
  isLate: true,
  dialect: { unpinnedTables: ['session'] },
})

async function serve(routes: FastifyPluginAsync, options: WritePinningOptions = {}): Promise<UserAgent> {
  const app = fastify()
  await app.register(writePinning, options)
  await app.register(routes)
  return (await listen(app))()
}

describe('dbWrite', () => {
  it('is honoured on routes that were defined before the plugin was registered', async () => {
    const app = fastify()
    app.get('/config', { config: { dbWrite: true } }, read)
    app.get('/decorator', dbWrite(read))
    app.register(async (child) => {
      child.get('/child', dbWrite(read))
    })
    await app.register(writePinning)
    const user = await listen(app)
    for (const path of ['/config', '/decorator', '/child']) {
      expect(pinCookie(await user().get(path)), path).toBeDefined()
    }
  })

  it('is honoured where another plugin has wrapped the handler', async () => {
    const app = fastify()
    app.addHook('onRoute', (route) => {
      const { handler } = route
      route.handler = async function (request, reply) {
        return handler.call(this, request, reply)
      }
    })
    await app.register(writePinning)
    app.get('/track', dbWrite(read))
    const user = (await listen(app))()
    const routes = await whereAndWhy(async () => expect(pinCookie(await user.get('/track'))).toBeDefined())
    expect(routes).toEqual(['primary: write-request'])
  })

  it('keeps `this`, the arguments, the name and the length of a handler', async () => {
    async function track(this: FastifyInstance, _request: unknown, _reply: unknown) {
      return typeof this.writePinning
    }
    const marked = dbWrite(track)
    expect(marked.name).toBe('track')
    expect(marked.length).toBe(2)
    const user = await serve(async (app) => {
      app.get('/', marked)
    })
    expect((await user.get('/')).body).toBe('object')
  })
})

describe('a write that the router saw', () => {
  it('in an onSend hook of a route, or of a plugin registered later, pins', async () => {
    const user = await serve(async (app) => {
      app.get('/route', { onSend: async () => void (await insert()) }, read)
      app.register(async (child) => {
        child.addHook('onSend', async () => void (await insert()))
        child.get('/plugin', read)
      })
    })
    expect(pinCookie(await user.get('/route'))).toBeDefined()
    expect(pinCookie(await user.get('/plugin'))).toBeDefined()
  })
})
