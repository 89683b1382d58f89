import { createServer, type Server } from 'node:http'
import express5, { type Express } from 'express'
import express4 from 'express4'
import { afterEach, describe } from 'vitest'
import { listenOn, type UserAgent } from '../support/http.ts'

/** Starts an application of Express's, which ends with its test, and gives a user agent for it. */
export type Serve = (app: Express) => Promise<UserAgent>

/** Runs the same tests over each version of Express. */
export function overEachExpress(tests: (express: typeof express5, serve: Serve) => void): void {
  const versions: [string, typeof express5][] = [
    ['4', express4],
    ['5', express5],
  ]
  describe.each(versions)('over Express %s', (_version, express) => {
    const servers: Server[] = []
    afterEach(async () => {
      for (const server of servers.splice(0)) {
        server.closeAllConnections()
        await new Promise((resolve) => server.close(resolve))
      }
    })
    tests(express, async (app) => {
      const server = createServer(app)
      servers.push(server)
      return (await listenOn(server))()
    })
  })
}
