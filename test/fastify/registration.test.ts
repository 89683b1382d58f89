import { type FastifyRequest, fastify } from 'fastify'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { dbWrite } from 'write-pinning'
import defaultExport, { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import type { PinStore } from 'write-pinning/stores'

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
})

describe('dbWrite()', () => {
  it('refuses at once what is not a handler', () => {
    expect(() => dbWrite('handler' as never)).toThrowError(
      expect.objectContaining({ code: 'ERR_WRITE_PINNING_OPTION' }),
    )
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
