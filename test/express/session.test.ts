import session from 'express-session'
import type { Kysely } from 'kysely'
import { describe, expect, it } from 'vitest'
import { markWrite } from 'write-pinning'
import { writePinning } from 'write-pinning/express'
import { orPrimary } from 'write-pinning/kysely'
import type { Database } from '../support/cluster.ts'
import { pinCookie } from '../support/http.ts'
import { useShop } from '../support/shop.ts'
import { overEachExpress } from './support.ts'

declare module 'express-session' {
  interface SessionData {
    user: string
  }
}

const { open } = useShop({ isLate: true })
const unpinned = open({ unpinnedTables: ['session'] })
const pinning = open()

/** A session store in the database, as one would write it with Kysely. */
class KyselyStore extends session.Store {
  readonly #db: Kysely<Database>

  constructor(db: Kysely<Database>) {
    super()
    this.#db = db
  }

  override get(sid: string, done: (error: unknown, data?: session.SessionData | null) => void): void {
    const query = this.#db.selectFrom('session').select('data').where('sid', '=', sid).$call(orPrimary)
    query.executeTakeFirst().then((row) => done(null, row === undefined ? null : JSON.parse(row.data)), done)
  }

  override set(sid: string, value: session.SessionData, done: (error?: unknown) => void = () => {}): void {
    const data = JSON.stringify(value)
    const insert = this.#db.insertInto('session').values({ sid, data })
    insert
      .onConflict((on) => on.column('sid').doUpdateSet({ data }))
      .execute()
      .then(() => done(), done)
  }

  override destroy(sid: string, done: (error?: unknown) => void = () => {}): void {
    this.#db
      .deleteFrom('session')
      .where('sid', '=', sid)
      .execute()
      .then(() => done(), done)
  }
}

overEachExpress((express, serve) => {
  const shop = (db: Kysely<Database>) => {
    const middleware = writePinning()
    const app = express().use(
      middleware,
      session({ secret: 'a secret', store: new KyselyStore(db), resave: false, saveUninitialized: false }),
    )
    app.post('/login', (request, response) => {
      request.session.user = 'ada'
      response.redirect(303, '/me')
    })
    app.get('/login-by-link', (request, response) => {
      request.session.user = 'ada'
      response.send('welcome')
    })
    app.get('/login-by-link-and-save', (request, response, next) => {
      request.session.user = 'ada'
      request.session.save((error) => (error ? next(error) : response.send('welcome')))
    })
    app.get('/login-by-link-and-mark', (request, response) => {
      request.session.user = 'ada'
      markWrite()
      response.send('welcome')
    })
    app.get('/me', (request, response) => {
      response.send(request.session.user ?? 'nobody')
    })
    return { app, counts: middleware.counts }
  }

  describe('a session store in the database, which writes as the response ends', () => {
    it.each([
      ['unpinned', unpinned],
      ['not unpinned', pinning],
    ])('has the session after login and redirect, where its table is %s', async (_what, db) => {
      const user = await serve(shop(db).app)
      const login = await user.post('/login')
      expect(login.status).toBe(303)
      expect(pinCookie(login)).toBeDefined()
      expect(login.setCookies).toHaveLength(2)
      expect((await user.get('/me')).body).toBe('ada')
    })

    it('pins nobody by a session that a GET makes where its table is unpinned, and finds it on the primary', async () => {
      const { app, counts } = shop(unpinned)
      const user = await serve(app)
      expect(pinCookie(await user.get('/login-by-link'))).toBeUndefined()
      expect((await user.get('/me')).body).toBe('ada')
      expect(counts).toMatchObject({ set: 0, late: 0 })
    })

    it('is counted as late by a session that a GET makes, because express-session saves it after the headers', async () => {
      const { app, counts } = shop(pinning)
      const user = await serve(app)
      expect(pinCookie(await user.get('/login-by-link'))).toBeUndefined()
      await expect.poll(() => counts.late).toBe(1)
    })

    it.each(['and-save', 'and-mark'])(
      'pins by a session that a GET makes, where the handler sees to it (%s)',
      async (how) => {
        const user = await serve(shop(pinning).app)
        expect(pinCookie(await user.get(`/login-by-link-${how}`))).toBeDefined()
        expect((await user.get('/me')).body).toBe('ada')
      },
    )
  })
})
