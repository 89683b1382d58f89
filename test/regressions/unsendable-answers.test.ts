import { type FastifyInstance, fastify } from 'fastify'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { memoryPinStore } from 'write-pinning/stores'
import { useShop } from '../support/shop.ts'

// An answer that Fastify cannot send is the error handler's, also where its headers, or its handler, have waited for the pin.
const { insert, listen, atEnd } = useShop()
let rejections: unknown[]
let firstRejection: Promise<string>
let note: (error: unknown) => void

beforeEach(() => {
  rejections = []
  firstRejection = new Promise((resolve) => {
    note = (error) => {
      rejections.push(error)
      resolve(`Nobody answers: ${error}`)
    }
  })
  process.on('unhandledRejection', note)
})

afterEach(async () => {
  process.off('unhandledRejection', note)
})

/** The status of what is answered; why, where nobody answers. */
async function statusOf(options: WritePinningOptions, routes: (app: FastifyInstance) => void) {
  const app = fastify()
  await app.register(writePinning, options)
  routes(app)
  const agent = (await listen(app))()
  // Ends first: what nobody answers would keep the application from closing.
  atEnd(() => app.server.closeAllConnections())
  const answered = agent.post('/')
  return Promise.race([answered.then(({ status }) => status), firstRejection])
}

const anna = { pinStore: memoryPinStore(), account: () => 'anna' }

describe.each([
  ['an exact pin', { pin: 'exact' }],
  ['the pin of an account', anna],
  ['both', { pin: 'exact', ...anna }],
] as const)('a response that has waited for %s', (_name, options) => {
  test('and has a header that Node.js refuses is an error, and no end of the process', async () => {
    const status = await statusOf(options, (app) => {
      app.post('/', async (_request, reply) => {
        await insert()
        reply.header('content-disposition', 'attachment; filename="\u0159.txt"')
        return { ok: true }
      })
    })
    expect([status, rejections]).toEqual([500, []])
  })

  test('and has a payload that nobody serializes is one, too, and has its own error handler', async () => {
    const status = await statusOf(options, (app) => {
      app.setErrorHandler((_error, _request, reply) => reply.code(503).type('text/plain').send('sorry'))
      app.post('/', async (_request, reply) => {
        await insert()
        return reply.type('text/csv').send({ ok: true })
      })
    })
    expect([status, rejections]).toEqual([503, []])
  })
})

test('a handler that has waited for the pin of its account, and returns what nobody serializes, is an error', async () => {
  const status = await statusOf(anna, (app) => {
    app.post('/', (_request, reply) => {
      reply.type('text/csv')
      return { ok: true }
    })
  })
  expect([status, rejections]).toEqual([500, []])
})
