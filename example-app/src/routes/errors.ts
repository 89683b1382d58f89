import type { FastifyError, FastifyInstance } from 'fastify'
import { messagePage } from '../pages/message.ts'

/** Answers an error with a page, not with JSON. Details go to the log only. */
export function showErrors(app: FastifyInstance): void {
  app.setNotFoundHandler((_request, reply) =>
    reply
      .code(404)
      .type('text/html; charset=utf-8')
      .send(messagePage('There is no such page', 'It may have moved, or it never was.')),
  )

  app.setErrorHandler((error: FastifyError, request, reply) => {
    const status = error.statusCode ?? 500
    if (status >= 500) request.log.error(error)
    return reply
      .code(status)
      .type('text/html; charset=utf-8')
      .send(messagePage(...explain(status)))
  })
}

function explain(status: number): [title: string, text: string] {
  if (status === 404) return ['That is not here any more', 'Another tab may have removed it.']
  if (status === 403) return ['That came from another site', 'Forms are accepted from our own pages only.']
  if (status < 500)
    return ['We could not read that form', 'Go back, check what you typed, and send it again.']
  return ['Something broke on our side', 'Nothing of yours is lost. Please try again in a moment.']
}
