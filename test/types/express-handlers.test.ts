import express, { type Request, type Response } from 'express'
import { describe, expectTypeOf, it } from 'vitest'
import { dbWrite, usePrimary } from 'write-pinning'

// What is wrong in here does not compile. No request reaches these handlers.

describe.each([
  ['dbWrite()', dbWrite],
  ['usePrimary.wrap()', usePrimary.wrap],
])('%s around a handler keeps the types', (_name, wrap) => {
  it('that the path gives', () => {
    express().get(
      '/comments/:id',
      wrap((request, response) => {
        expectTypeOf(request.params.id).toBeString()
        response.send(request.path)
      }),
    )
  })

  it('that the route names', () => {
    express().post<'/comments/:id', { id: string }, { ok: boolean }, { text: string }>(
      '/comments/:id',
      wrap((request, response) => {
        expectTypeOf(request.body.text).toBeString()
        // @ts-expect-error: the answer has another type
        response.json({ ok: 'yes' })
      }),
    )
  })

  it('that the handler names', () => {
    express().post(
      '/comments/:id',
      wrap((request: Request<{ id: string }, unknown, { text: string }>, response: Response) => {
        response.send(request.body.text)
      }),
    )
  })

  it('of middlewares and of handlers of errors', () => {
    const app = express()
    app.use(wrap((request, _response, next) => next(request.path)))
    app.use(
      wrap((error: Error, _request: Request, response: Response, _next: (error?: unknown) => void) => {
        response.status(500).send(error.message)
      }),
    )
  })
})
