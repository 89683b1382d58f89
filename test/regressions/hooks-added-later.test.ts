import { type FastifyInstance, fastify, type preHandlerHookHandler } from 'fastify'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { pinAccount } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import { memoryPinStore } from 'write-pinning/stores'
import type { UserAgent } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// Authentication as plugins add it that are registered after this one: to each route, in an `onRoute` hook of their own.
const { cluster, read, listen, atEnd } = useShop()
const pinStore = memoryPinStore()
await pinAccount('anna', { pinStore, pinningSeconds: 600 })

const users = new WeakMap<object, string>()
const authenticate: preHandlerHookHandler = async (request) => {
  users.set(request, 'anna')
}

async function serve(routes: (app: FastifyInstance) => unknown): Promise<UserAgent> {
  const app = fastify()
  await app.register(writePinning, { pinStore, account: (request) => users.get(request) })
  await routes(app)
  return (await listen(app))()
}

const addPage = (app: FastifyInstance) => void app.get('/', read)

describe('the pin of an account is honoured where it is known by a hook that another plugin', () => {
  test('puts into a new list', async () => {
    const agent = await serve((app) => {
      app.addHook('onRoute', (route) => {
        route.preHandler = [...[route.preHandler ?? []].flat(), authenticate]
      })
      addPage(app)
    })
    expect(await whereAndWhy(() => agent.get('/'))).toEqual(['primary: pin'])
    expect(await whereAndWhy(() => agent.request('HEAD', '/'))).toEqual(['primary: pin'])
  })

  test('adds to the list that is there', async () => {
    const agent = await serve((app) => {
      app.addHook('onRoute', ({ preHandler }) => {
        if (Array.isArray(preHandler)) preHandler.push(authenticate)
      })
      addPage(app)
    })
    expect(await whereAndWhy(() => agent.get('/'))).toEqual(['primary: pin'])
  })

  test('puts in the place of all others', async () => {
    const agent = await serve((app) => {
      app.addHook('onRoute', (route) => {
        route.preHandler = authenticate
      })
      addPage(app)
    })
    expect(await whereAndWhy(() => agent.get('/'))).toEqual(['primary: pin'])
  })

  test('adds for the routes of one part of the application', async () => {
    const agent = await serve((app) =>
      app.register(
        async (child) => {
          child.addHook('onRoute', (route) => {
            Object.assign(route, { preHandler: [route.preHandler ?? [], authenticate].flat() })
          })
          addPage(child)
        },
        { prefix: '/own' },
      ),
    )
    expect(await whereAndWhy(() => agent.get('/own'))).toEqual(['primary: pin'])
    expect(await whereAndWhy(() => agent.get('/own/'))).toEqual(['primary: pin'])
  })
})

test('a list of hooks that several routes share stays as it is', async () => {
  const shared = [authenticate]
  const agent = await serve((app) => {
    app.get('/', { preHandler: shared }, read)
    app.get('/other', { preHandler: shared }, read)
  })
  expect(await whereAndWhy(() => agent.get('/'))).toEqual(['primary: pin'])
  expect(await whereAndWhy(() => agent.get('/other'))).toEqual(['primary: pin'])
  expect(shared).toEqual([authenticate])
})

test('a handler runs in the context of its request, although a hook that was added later goes on in none', async () => {
  const client = new pg.Client({ connectionString: cluster.primary.connectionString })
  await client.connect()
  atEnd(() => client.end())
  const agent = await serve((app) => {
    app.addHook('onRoute', (route) => {
      const losing: preHandlerHookHandler = (_request, _reply, done) =>
        void client.query('select 1', () => done())
      route.preHandler = [...[route.preHandler ?? []].flat(), losing]
    })
    addPage(app)
  })
  expect(await whereAndWhy(() => agent.get('/'))).toEqual(['replica: read'])
})
