import { type FastifyPluginAsync, fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { capturePin, runWithPin } from 'write-pinning'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { UserAgent } from '../support/http.ts'
import { demandIn, positionOf, wroteTo } from '../support/positions.ts'
import { useShop } from '../support/shop.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const { cluster, listen } = useShop()
const secret = 'a secret of at least thirty-two characters'

async function write() {
  await cluster.primary.query(`insert into item (name) values ('lamp')`)
  return positionOf(cluster.primary)
}

async function serve(routes: FastifyPluginAsync, options: WritePinningOptions = {}): Promise<UserAgent> {
  const app = fastify()
  await app.register(writePinning, { pin: 'exact', secret, header: 'x-write-pin', ...options })
  app.get('/demand', async () => ({ kind: demandIn()?.kind }))
  await app.register(routes)
  return (await listen(app))()
}

const demandOfJob = (token: string) => runWithPin(token, () => demandIn()?.kind, { secret })

describe('capturePin() in a request', () => {
  it('gives what the request has written, before its response has left', async () => {
    const user = await serve(async (app) => {
      app.get('/queue', async () => {
        wroteTo('default', write())
        return capturePin({ seconds: 600 })
      })
    })
    expect(demandOfJob((await user.get('/queue')).body)).toBe('atLeast')
  })

  it('gives what the request had brought', async () => {
    const user = await serve(async (app) => {
      app.post('/items', async () => wroteTo('default', write()))
      app.get('/queue', async () => (await capturePin({ seconds: 600 })) ?? 'nothing')
    })
    expect((await user.get('/queue')).body).toBe('nothing')
    await user.post('/items')
    expect(demandOfJob((await user.get('/queue')).body)).toBe('atLeast')
  })

  it('gives a time pin in a write request whose writes no router saw, and with time pins', async () => {
    const queue: FastifyPluginAsync = async (app) => {
      app.post('/queue', async () => capturePin())
      app.get('/queue', async () => {
        wroteTo('default', write())
        return capturePin()
      })
    }
    const exact = await serve(queue)
    expect(demandOfJob((await exact.post('/queue')).body)).toBe('primary')
    const time = await serve(queue, { pin: 'time' })
    expect(demandOfJob((await time.get('/queue')).body)).toBe('primary')
  })

  it('gives a token that a client may send back, for as long as it says', async () => {
    const user = await serve(async (app) => {
      app.get('/token/:seconds', async (request) => {
        const { seconds } = request.params as { seconds: string }
        wroteTo('default', write())
        return capturePin(seconds === 'usual' ? {} : { seconds: Number(seconds) })
      })
    })
    const demandWith = async (path: string) => {
      const token = (await new UserAgent(user.origin).get(path)).body
      return (await new UserAgent(user.origin).get('/demand', { headers: { 'x-write-pin': token } })).json()
        .kind
    }
    expect(await demandWith('/token/usual')).toBe('atLeast')
    expect(await demandWith('/token/10')).toBe('atLeast')
    expect(await demandWith('/token/600')).toBe('atLeast')
  })

  it('gives what was written after the headers had left, which no response can carry', async () => {
    const token = withResolvers<string | undefined>()
    const user = await serve(async (app) => {
      app.get('/stream', async (_request, reply) => {
        reply.hijack()
        reply.raw.flushHeaders()
        wroteTo('default', write())
        token.resolve(await capturePin())
        reply.raw.end('done')
      })
    })
    const answer = await user.get('/stream')
    expect([answer.setCookies, answer.headers['x-write-pin']]).toEqual([[], undefined])
    expect(demandOfJob((await token.promise) ?? '')).toBe('atLeast')
  })

  it('is signed in a skipped request too', async () => {
    const user = await serve(
      async (app) => {
        app.get('/queue', async () => {
          wroteTo('default', write())
          return capturePin()
        })
      },
      { skip: () => true },
    )
    expect(demandOfJob((await user.get('/queue')).body)).toBe('primary')
  })

  it('of a job in a request is taken with the secret of the plugin', async () => {
    const user = await serve(async (app) => {
      app.get('/message', async () => {
        const token = await runWithPin(
          undefined,
          async () => {
            wroteTo('default', write())
            return capturePin()
          },
          { pin: 'exact' },
        )
        return runWithPin(token, async () => ({ token, kind: demandIn()?.kind }))
      })
    })
    const { token, kind } = (await user.get('/message')).json()
    expect([kind, demandOfJob(token)]).toEqual(['atLeast', 'atLeast'])
  })
})
