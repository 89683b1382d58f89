/**
 * One small Fastify application, in its own process. `bench/fastify.js` starts one of each kind. In one process they
 * would share the change that the plugin makes to promises on Node.js 20, and no application would be without it.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import { fastifyCookie } from '@fastify/cookie'
import { fastifyRequestContext } from '@fastify/request-context'
import Fastify from 'fastify'
import { writePinning } from 'write-pinning/fastify'

/** @type {Record<string, (app: import('fastify').FastifyInstance) => unknown>} */
const PLUGINS = {
  none: () => {},
  'storage.run alone': addStorage,
  '@fastify/request-context': (app) => app.register(fastifyRequestContext),
  '@fastify/cookie': (app) => app.register(fastifyCookie),
  'write-pinning': (app) => app.register(writePinning, { pinningSeconds: 3600 }),
  'write-pinning, signed': (app) =>
    app.register(writePinning, { pinningSeconds: 3600, secret: 'a secret of 32 characters or more' }),
}

const app = Fastify()
await PLUGINS[process.argv[2] ?? 'none']?.(app)
app.get('/', async () => ({ hello: 'world' }))
app.post('/', async () => ({ hello: 'world' }))
await app.listen({ host: '127.0.0.1', port: 0 })

// The parent asks for the CPU time that was used so far. It ends the process by disconnecting.
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send?.({ cpuUs: user + system })
})
process.once('disconnect', () => process.exit())
process.send?.({ port: /** @type {import('node:net').AddressInfo} */ (app.server.address()).port })

// The cost of any plugin that gives a request a context. What write-pinning adds to this is its own cost.
/** @param {import('fastify').FastifyInstance} app */
function addStorage(app) {
  const storage = new AsyncLocalStorage()
  app.addHook('onRequest', (_request, _reply, done) => storage.run({}, done))
}
