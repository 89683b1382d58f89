import cookie from '@fastify/cookie'
import session from '@fastify/session'
import { fastify } from 'fastify'
import type { Kysely } from 'kysely'
import { describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import type { Database } from '../support/cluster.ts'
import { pinCookie, type UserAgent } from '../support/http.ts'
import { useShop } from '../support/shop.ts'

declare module 'fastify' {
  interface Session {
    user?: string
  }
}

const { open, listen } = useShop({ isLate: true })
const unpinned = open({ unpinnedTables: ['session'] })
const pinning = open()

/** A session store in the database, as one would write it with Kysely. */
function storeIn(db: Kysely<Database>): session.SessionStore {
  const settle = <T>(promise: Promise<T>, done: (error: unknown, result?: T) => void) =>
    void promise.then((result) => done(null, result), done)
  return {
    get: (sid, done) =>
      settle(
        db
          .selectFrom('session')
          .select('data')
          .where('sid', '=', sid)
          .executeTakeFirst()
          .then((row) => (row === undefined ? null : JSON.parse(row.data))),
        done as never,
      ),
    set: (sid, value, done) => {
      const data = JSON.stringify(value)
      const insert = db.insertInto('session').values({ sid, data })
      settle(insert.onConflict((on) => on.column('sid').doUpdateSet({ data })).execute(), done as never)
    },
    destroy: (sid, done) => settle(db.deleteFrom('session').where('sid', '=', sid).execute(), done as never),
  }
}

async function serve(db: Kysely<Database>): Promise<UserAgent> {
  const app = fastify()
  await app.register(writePinning)
  await app.register(cookie)
  const secret = 'a secret of at least thirty-two characters'
  await app.register(session, {
    secret,
    store: storeIn(db),
    cookie: { secure: false },
    saveUninitialized: false,
  })
  app.post('/login', async (request, reply) => {
    request.session.user = 'ada'
    return reply.redirect('/me', 303)
  })
  app.get('/login-by-link', async (request) => {
    request.session.user = 'ada'
    return 'welcome'
  })
  app.get('/me', async (request) => request.session.user ?? 'nobody')
  return (await listen(app))()
}

describe('a session store in the database, which writes in onSend', () => {
  it('has the session after login and redirect', async () => {
    const user = await serve(unpinned)
    const login = await user.post('/login')
    expect(login.status).toBe(303)
    expect(pinCookie(login)).toBeDefined()
    expect((await user.get('/me')).body).toBe('ada')
  })

  it('pins nobody by a mere touch of the session', async () => {
    const user = await serve(unpinned)
    await user.post('/login')
    const touched = await user.get('/me')
    expect(touched.setCookies.some((each) => each.startsWith('sessionId='))).toBe(true)
    expect(pinCookie(touched)).toBeUndefined()
  })

  it('pins by a session that a GET makes, where its table is not unpinned', async () => {
    const user = await serve(pinning)
    expect(pinCookie(await user.get('/login-by-link'))).toBeDefined()
    expect((await user.get('/me')).body).toBe('ada')
  })
})
