import { type FastifyRequest, fastify } from 'fastify'
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest'
import { dbWrite, memoryPinStore, type PinStore, WritePinningError } from 'write-pinning'
import defaultExport, { type WritePinningOptions, writePinning } from 'write-pinning/fastify'

afterEach(() => vi.unstubAllEnvs())

/** Registers the plugin and gives the error that it threw. */
async function refusal(options: unknown): Promise<{ code: string; message: string }> {
  const app = fastify()
  try {
    await app.register(writePinning, options as WritePinningOptions)
  } catch (error) {
    expect(error).toBeInstanceOf(WritePinningError)
    return error as WritePinningError
  } finally {
    await app.close()
  }
  throw new Error('nothing was refused')
}

const OPTION = 'ERR_WRITE_PINNING_OPTION'
const UNKNOWN = 'ERR_WRITE_PINNING_UNKNOWN_OPTION'

describe('a wrong option', () => {
  const wrong: [string, unknown, string][] = [
    ['a typing error', { pinningSecond: 15 }, UNKNOWN],
    ['a typing error within the cookie', { cookie: { samesite: 'lax' } }, UNKNOWN],
    ['no time at all', { pinningSeconds: 0 }, OPTION],
    ['a negative time', { pinningSeconds: -1 }, OPTION],
    ['half a second', { pinningSeconds: 0.5 }, OPTION],
    ['a time without end', { pinningSeconds: Number.POSITIVE_INFINITY }, OPTION],
    ['no number', { pinningSeconds: Number.NaN }, OPTION],
    ['a time as text', { pinningSeconds: '15' }, OPTION],
    ['null as time', { pinningSeconds: null }, OPTION],
    ['more than a day', { pinningSeconds: 86_401 }, OPTION],
    ['an unknown pin', { pin: 'forever' }, OPTION],
    ['an unknown pinOn', { pinOn: 'always' }, OPTION],
    ['read methods that are no array', { readMethods: 'GET' }, OPTION],
    ['read methods in lower case', { readMethods: ['get'] }, OPTION],
    ['a cookie that is no object', { cookie: 'write_pin' }, OPTION],
    ['an empty cookie name', { cookie: { name: '' } }, OPTION],
    ['a cookie name with a space', { cookie: { name: 'write pin' } }, OPTION],
    ['a cookie name with a line break', { cookie: { name: 'a\nb' } }, OPTION],
    ['a path without slash', { cookie: { path: 'shop' } }, OPTION],
    ['a path with a semicolon', { cookie: { path: '/;Domain=x' } }, OPTION],
    ['a domain that is a URL', { cookie: { domain: 'https://example.org' } }, OPTION],
    ['httpOnly as text', { cookie: { httpOnly: 'yes' } }, OPTION],
    ['an unknown sameSite', { cookie: { sameSite: 'Lax' } }, OPTION],
    ['an unknown secure', { cookie: { secure: 'always' } }, OPTION],
    ['partitioned as text', { cookie: { partitioned: 'yes' } }, OPTION],
    ['__Host- with secure: false', { cookie: { name: '__Host-p', secure: false } }, OPTION],
    ['__Secure- with secure: false', { cookie: { name: '__secure-p', secure: false } }, OPTION],
    ['__Host- with a path', { cookie: { name: '__Host-p', path: '/shop' } }, OPTION],
    ['__Host- with a domain', { cookie: { name: '__Host-p', domain: 'example.org' } }, OPTION],
    ["sameSite: 'none' with secure: false", { cookie: { sameSite: 'none', secure: false } }, OPTION],
    ['partitioned with secure: false', { cookie: { partitioned: true, secure: false } }, OPTION],
    ['a short secret', { secret: 'x'.repeat(31) }, OPTION],
    ['an empty secret', { secret: '' }, OPTION],
    ['no secret among several', { secret: [] }, OPTION],
    ['a short one among several', { secret: ['x'.repeat(32), 'short'] }, OPTION],
    ['skip that is no function', { skip: true }, OPTION],
    ['an empty header', { header: '' }, OPTION],
    ['a header with a space', { header: 'x pin' }, OPTION],
    ['a header that has a meaning', { header: 'Set-Cookie' }, OPTION],
    ['monotonicReads as text', { pin: 'exact', monotonicReads: 'yes' }, OPTION],
    ['monotonicReads without positions', { monotonicReads: true }, OPTION],
    ['affinity that is no function', { affinity: 'user' }, OPTION],
    ['an async affinity', { affinity: async () => 'a' }, OPTION],
    ['an async account', { pinStore: memoryPinStore(), account: async () => 'a' }, OPTION],
    ['an account without store', { account: () => 'a' }, OPTION],
    ['a store without account', { pinStore: memoryPinStore() }, OPTION],
    ['a store that is none', { pinStore: new Map(), account: () => 'a' }, OPTION],
  ]

  it.each(wrong)('(%s) is refused at registration, by its code', async (_what, options, code) => {
    expect((await refusal(options)).code).toBe(code)
  })

  it('never shows its value, which may be a secret', async () => {
    const secret = 'too short to be one'
    expect((await refusal({ secret })).message).not.toContain(secret)
  })

  it('says what was wrong and what is right', async () => {
    expect((await refusal({ pinningSeconds: 0 })).message).toBe(
      'writePinning: `pinningSeconds` must be a whole number of seconds from 1 to 86400, and got the number 0.',
    )
  })

  it.each([
    ['dbWrite', 'yes'],
    ['dbWrite', 1],
    ['readFrom', ''],
    ['readFrom', true],
  ])('in a route (%s: %s) is refused where the route is defined', async (name, value) => {
    const app = fastify()
    await app.register(writePinning)
    expect(() => app.get('/', { config: { [name]: value } }, async () => 'x')).toThrowError(
      expect.objectContaining({ code: OPTION }),
    )
    await app.close()
  })

  it('of dbWrite(), that is not a handler, is refused at once', () => {
    expect(() => dbWrite('handler' as never)).toThrowError(expect.objectContaining({ code: OPTION }))
  })
})

describe('PINNING_SECONDS', () => {
  it('is the default, and the option is stronger', async () => {
    vi.stubEnv('PINNING_SECONDS', '42')
    expect(await maxAge({})).toBe('42')
    expect(await maxAge({ pinningSeconds: 7 })).toBe('7')
  })

  it.each(['0', 'soon', '1.5', '-3'])('%s is refused at registration', async (value) => {
    vi.stubEnv('PINNING_SECONDS', value)
    expect((await refusal({})).message).toContain('PINNING_SECONDS')
  })

  it('is 15 where nobody says anything', async () => {
    vi.stubEnv('PINNING_SECONDS', '')
    expect(await maxAge({})).toBe('15')
  })

  async function maxAge(options: WritePinningOptions): Promise<string | undefined> {
    const app = fastify()
    await app.register(writePinning, options)
    app.post('/', async () => 'x')
    const { headers } = await app.inject({ method: 'POST', url: '/' })
    await app.close()
    return /Max-Age=(\d+)/.exec(String(headers['set-cookie']))?.[1]
  }
})

describe('registration', () => {
  it('passes the options that are Fastify’s own', async () => {
    const app = fastify()
    await app.register(writePinning, {
      prefix: '/x',
      logLevel: 'info',
      logSerializers: {},
    } as WritePinningOptions)
    await app.close()
  })

  it('twice is refused', async () => {
    const app = fastify()
    await app.register(writePinning)
    await expect(app.register(writePinning)).rejects.toMatchObject({
      code: 'ERR_WRITE_PINNING_ALREADY_REGISTERED',
    })
  })

  it('is also the default export', () => {
    expect(defaultExport).toBe(writePinning)
  })

  it('answers with the error of a `skip` that throws, and goes on', async () => {
    const app = fastify()
    await app.register(writePinning, {
      skip: () => {
        throw new Error('no')
      },
    })
    app.get('/', async () => 'x')
    expect((await app.inject('/')).statusCode).toBe(500)
    await app.close()
  })
})

describe('the types', () => {
  it('know the marks of a route, the pin of a request, and the options', () => {
    const app = fastify()
    // @ts-expect-error dbWrite is true or false
    app.get('/a', { config: { dbWrite: 'yes' } }, async () => 'x')
    app.get('/b', { config: { dbWrite: true, readFrom: 'reporting' } }, async (request) => {
      expectTypeOf(request.writePin.until).toEqualTypeOf<Date | undefined>()
      // @ts-expect-error a view, not a switch
      request.writePin.pinned = true
    })
    expectTypeOf<WritePinningOptions>().toHaveProperty('pinningSeconds')
    expectTypeOf<{
      pin: 'exact'
      header: string
      monotonicReads: true
      affinity: (request: FastifyRequest) => string
      account: (request: FastifyRequest) => string | undefined
      pinStore: PinStore
    }>().toExtend<WritePinningOptions>()
    // @ts-expect-error a store of pins, not any map
    const options: WritePinningOptions = { pin: 'exact', pinStore: new Map<string, string>() }
    expectTypeOf(options).not.toBeAny()
    const handler = async (id: number) => String(id)
    expectTypeOf(dbWrite(handler)).toEqualTypeOf<typeof handler>()
  })
})
