import { createServer, type RequestListener, Server } from 'node:http'
import { Server as SecureServer } from 'node:https'
import type { FastifyInstance } from 'fastify'
import type { AtEnd } from './ends.ts'
import { listen as listenOf, listenOn, type UserAgent } from './http.ts'

/**
 * Serves an application on a free port of the loopback, closes it at the end, and gives a function that makes user
 * agents.
 */
export type Listen = (app: FastifyInstance | RequestListener | Server) => Promise<() => UserAgent>

/** @example const listen = listening(useEnds()) */
export function listening(atEnd: AtEnd): Listen {
  return (app) => {
    if ('inject' in app) {
      atEnd(() => app.close())
      return listenOf(app)
    }
    const server = app instanceof Server || app instanceof SecureServer ? app : createServer(app)
    atEnd(() => closed(server))
    return listenOn(server)
  }
}

/** Closes the server and all its connections. */
function closed(server: Server): Promise<unknown> {
  server.closeAllConnections()
  return new Promise((resolve) => server.close(resolve))
}
