import express, { type Request, type RequestHandler } from 'express'
import { describe, expect, expectTypeOf, it } from 'vitest'
import { dbWrite, type WritePinningError } from 'write-pinning'
import defaultExport, {
  markRoute,
  type RouteMarks,
  type WritePinningOptions,
  writePinning,
} from 'write-pinning/express'

describe('the types', () => {
  it('are those of a middleware', () => {
    expectTypeOf(writePinning()).toExtend<RequestHandler>()
    expectTypeOf(markRoute({})).toExtend<RequestHandler>()
  })

  it('know the marks of a route, the pin of a request, the options and the counts', () => {
    const app = express()
    // @ts-expect-error dbWrite is true or false
    expect(() => markRoute({ dbWrite: 'yes' })).toThrow()
    app.get('/b', markRoute({ dbWrite: true, readFrom: 'reporting' }), (request) => {
      expectTypeOf(request.writePin.until).toEqualTypeOf<Date | undefined>()
      // @ts-expect-error a view, not a switch
      request.writePin.pinned = true
    })
    const skip = (request: Request) => request.get('x-bot') !== undefined
    expectTypeOf(writePinning({ skip, pinningSeconds: 15 }).counts.late).toBeNumber()
    expectTypeOf<WritePinningOptions>().toHaveProperty('pinningSeconds')
    expectTypeOf<RouteMarks>().toHaveProperty('readFrom')
  })

  it('leave those of a handler as they are under dbWrite()', () => {
    const handler: RequestHandler = (_request, response) => void response.end()
    expectTypeOf(dbWrite(handler)).toEqualTypeOf<RequestHandler>()
  })
})

describe('what the entry exports', () => {
  it('is the middleware, also by default', () => {
    expect(defaultExport).toBe(writePinning)
  })

  it.each([
    ['a mark that does not exist', { dbwrite: false }, 'ERR_WRITE_PINNING_UNKNOWN_OPTION'],
    ['no marks', undefined, 'ERR_WRITE_PINNING_OPTION'],
    ['a mark that is wrong', { readFrom: 1 }, 'ERR_WRITE_PINNING_OPTION'],
  ])('markRoute() refuses %s at once', (_what, marks, code) => {
    expect(() => markRoute(marks as RouteMarks)).toThrowError(
      expect.objectContaining({ code } as Partial<WritePinningError>),
    )
  })
})
