import formbody from '@fastify/formbody'
import multipart from '@fastify/multipart'
import { type FastifyReply, type FastifyRequest, type FastifyServerOptions, fastify } from 'fastify'
import { dbWrite } from 'write-pinning'
import { type WritePinningOptions, writePinning } from 'write-pinning/fastify'
import { listen } from '../support/http.ts'
import { type Exchange, type Framework, type Handler, type Reply, routesOf } from './framework.ts'

export const fastify5: Framework = {
  name: 'Fastify 5',
  async serve({ options, trustProxy, https, guard, onError, onNotFound, ...rest }) {
    const warnings: string[] = []
    const stream = { write: (line: string) => void warnings.push(...warningOf(line)) }
    const app = fastify({ trustProxy, https, logger: { level: 'warn', stream } } as FastifyServerOptions)
    app.addHttpMethod('PROPFIND')
    await app.register(writePinning, options as WritePinningOptions)
    await app.register(formbody)
    await app.register(multipart, { attachFieldsToBody: 'keyValues' })
    app.addContentTypeParser('application/octet-stream', (_request, payload, done) => {
      let length = 0
      payload.on('data', (chunk: Buffer) => {
        length += chunk.length
      })
      payload.on('end', () => done(null, { length }))
    })
    if (guard !== undefined) {
      app.addHook('preHandler', async (request, reply) => {
        const refusal = guard(exchangeOf(request, reply))
        if (refusal !== undefined) return answer(reply, refusal)
      })
    }
    for (const { method, path, marks, isDbWrite, handler } of routesOf(rest)) {
      const methods = method === 'ALL' ? app.supportedMethods : [method]
      const own = native(handler)
      const config = { ...marks } as object
      app.route({ method: methods, url: path, config, handler: isDbWrite ? dbWrite(own) : own })
    }
    if (onError !== undefined)
      app.setErrorHandler((_error, request, reply) => native(onError)(request, reply))
    if (onNotFound !== undefined) app.setNotFoundHandler(native(onNotFound))
    const userAgent = await listen(app)
    return { counts: app.writePinning.counts, warnings, userAgent, close: () => app.close() }
  },
}

function native(handler: Handler) {
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const given = await handler(exchangeOf(request, reply))
    return given === undefined ? reply.hijack() : answer(reply, given)
  }
}

function exchangeOf(request: FastifyRequest, reply: FastifyReply): Exchange {
  const { url, headers, body } = request
  return {
    url,
    headers,
    body,
    response: reply.raw,
    get writePin() {
      return request.writePin
    },
  }
}

function answer(
  reply: FastifyReply,
  { status = 200, headers = {}, redirect, body, stream }: Reply,
): FastifyReply {
  reply.code(status).headers(headers)
  return redirect === undefined ? reply.send(stream ?? body) : reply.redirect(redirect, status)
}

function warningOf(line: string): string[] {
  const { level, msg } = JSON.parse(line) as { level: number; msg: string }
  return level === 40 ? [msg] : []
}
