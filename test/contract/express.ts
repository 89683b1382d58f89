import { createServer, type Server } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type express from 'express'
import type { NextFunction, Request, Response } from 'express'
import multer from 'multer'
import { dbWrite } from 'write-pinning'
import { markRoute, type WritePinningOptions, writePinning } from 'write-pinning/express'
import { listenOn } from '../support/http.ts'
import { type Exchange, type Framework, type Handler, type Reply, routesOf } from './framework.ts'

/** The adapter of Express, whose versions differ in nothing that it uses. */
export function expressFramework(name: string, make: typeof express): Framework {
  return {
    name,
    async serve({ options, trustProxy, https, guard, onError, onNotFound, ...rest }) {
      const warnings: string[] = []
      const onWarning = (warning: Error) => {
        if (warning.name === 'WritePinningWarning') warnings.push(warning.message)
      }
      const app = make()
      const pinning = writePinning(options as WritePinningOptions)
      process.on('warning', onWarning)
      app.set('trust proxy', trustProxy ?? false)
      app.use(pinning)
      app.use(make.json(), make.urlencoded({ extended: false }), multer().none(), parseBinary)
      if (guard !== undefined) {
        app.use((request, response, next) => {
          const refusal = guard(exchangeOf(request, response))
          if (refusal === undefined) next()
          else answer(response, refusal)
        })
      }
      for (const { method, path, marks, isDbWrite, handler } of routesOf(rest)) {
        const own = native(handler)
        const marking = marks === undefined ? [] : [markRoute(marks)]
        app[method.toLowerCase() as 'all'](path, ...marking, isDbWrite ? dbWrite(own) : own)
      }
      if (onNotFound !== undefined) app.use(native(onNotFound))
      if (onError !== undefined) {
        app.use((_error: unknown, request: Request, response: Response, next: NextFunction) =>
          native(onError)(request, response, next),
        )
      }
      const server: Server = https === undefined ? createServer(app) : createSecureServer(https, app)
      const userAgent = await listenOn(server)
      const close = async () => {
        process.off('warning', onWarning)
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
      return { counts: pinning.counts, warnings, userAgent, close }
    },
  }
}

function native(handler: Handler) {
  return (request: Request, response: Response, next: NextFunction): void => {
    handler(exchangeOf(request, response))
      .then((given) => given === undefined || answer(response, given))
      .catch(next)
  }
}

function exchangeOf(request: Request, response: Response): Exchange {
  const { url, headers, body } = request
  return {
    url,
    headers,
    body: Object.keys(body ?? {}).length === 0 ? undefined : body,
    response,
    get writePin() {
      return request.writePin
    },
  }
}

function answer(response: Response, { status = 200, headers = {}, redirect, body, stream }: Reply): void {
  response.status(status).set(headers)
  if (redirect !== undefined) response.redirect(status, redirect)
  else if (stream !== undefined) stream.pipe(response)
  else if (typeof body === 'string') response.send(body)
  else if (body !== undefined) response.json(body)
  else response.end()
}

function parseBinary(request: Request, _response: Response, next: NextFunction): void {
  if (request.headers['content-type'] !== 'application/octet-stream') {
    next()
    return
  }
  let length = 0
  request.on('data', (chunk: Buffer) => {
    length += chunk.length
  })
  request.on('end', () => {
    request.body = { length }
    next()
  })
}
