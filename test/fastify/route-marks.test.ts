import { type FastifyInstance, fastify } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import { useEnds } from '../support/ends.ts'
import { pinCookie } from '../support/http.ts'
import { listening } from '../support/listening.ts'

const listen = listening(useEnds())

const lines: { level: number; msg: string }[] = []

afterEach(async () => {
  lines.length = 0
})

function newApp(): FastifyInstance {
  const stream = { write: (line: string) => void lines.push(JSON.parse(line)) }
  const app = fastify({ logger: { level: 'warn', stream } })
  return app
}

const handler = async () => 'done'

describe('a mark of a route that is written in another case', () => {
  it.each([
    ['dbwrite', true, 'dbWrite'],
    ['DBWrite', true, 'dbWrite'],
    ['db_write', false, 'dbWrite'],
    ['readfrom', 'primary', 'readFrom'],
    ['ReadFrom', 'reporting', 'readFrom'],
    ['read-from', 'replica', 'readFrom'],
  ])('(%s) is refused where the route is defined', async (name, value, meant) => {
    const app = newApp()
    await app.register(writePinning)
    expect(() => app.get('/track', { config: { [name]: value } as object }, handler)).toThrowError(
      expect.objectContaining({
        code: 'ERR_WRITE_PINNING_UNKNOWN_OPTION',
        message: `The config of GET /track has no mark \`${name}\`; did you mean \`${meant}\`?`,
      }),
    )
  })

  it('in a route that was defined before the plugin makes it a write, and is warned about once', async () => {
    const app = newApp()
    app.get('/track', { config: { dbwrite: true } as object }, handler)
    await app.register(writePinning)
    const userAgent = await listen(app)
    for (const _ of [1, 2]) expect(pinCookie(await userAgent().get('/track'))).toBeDefined()
    expect(lines.map(({ msg }) => msg)).toEqual([
      'The config of GET /track has no mark `dbwrite`; did you mean `dbWrite`?',
    ])
  })

  it('that is false, in a route that was defined before the plugin, takes nothing away from a POST', async () => {
    const app = newApp()
    app.post('/search', { config: { dbwrite: false } as object }, handler)
    await app.register(writePinning)
    expect(pinCookie(await (await listen(app))().post('/search'))).toBeDefined()
    expect(lines).toHaveLength(1)
  })
})

it('the other settings of a route are those of others, and left alone', async () => {
  const app = newApp()
  await app.register(writePinning)
  app.get(
    '/',
    {
      config: {
        write: true,
        read: 'x',
        rateLimit: {},
        dbWriter: 1,
        readFromCache: 2,
        constructor: 3,
      } as object,
    },
    handler,
  )
  app.get('/none', handler)
  expect((await app.inject('/')).statusCode).toBe(200)
  expect(lines).toEqual([])
})
