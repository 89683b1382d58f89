import { afterEach } from 'vitest'
import { fastify5 } from '../contract/fastify-5.ts'
import type { Handler, Served } from '../contract/framework.ts'
import type { UserAgent } from '../support/http.ts'
import type { OpenClient } from './client.ts'

/** Serves a shop over a library, with the plugin in front, and gives a maker of user agents; each ends with its test. */
export function serving(db: () => OpenClient): (options?: object, more?: Routes) => Promise<() => UserAgent> {
  const open: Served[] = []
  afterEach(async () => {
    for (const served of open.splice(0)) await served.close()
  })
  return async (options = {}, more = {}) => {
    const routes: Routes = {
      'GET /items': async () => ({ body: await db().names() }),
      'POST /items': async () => {
        await db().add('lamp')
        return { status: 303, redirect: '/items' }
      },
      // It writes, although a GET should not.
      'GET /visit': async () => {
        await db().add('visit')
        return { body: await db().names() }
      },
      ...more,
    }
    const served = await fastify5.serve({ options, routes })
    open.push(served)
    return () => served.userAgent()
  }
}

type Routes = Record<string, Handler>
