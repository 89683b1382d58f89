import { randomUUID } from 'node:crypto'
import cookieParser from 'cookie-parser'
import express, { type CookieOptions, type Express, type Request, type Response } from 'express'
import { markRoute, writePinning } from 'write-pinning/express'
import type { ShopOptions } from './app.ts'
import { isPinningOff, PINNING_COOKIE, WISHLIST_COOKIE, wishlistOf } from './browser.ts'
import { MAX_QUANTITY } from './database/shop-database.ts'

/** The shop on Express. It has the same addresses and forms, and answers with the data of the pages as JSON. */
export function buildExpressApp({ db, ...pinning }: ShopOptions): Express {
  const app = express()
  app.use(cookieParser()) // before write pinning, because `skip` reads a cookie of ours
  app.use(writePinning({ ...pinning, skip: isPinningOff }))
  app.use(express.urlencoded({ extended: false, limit: '16kb' }))

  const itemsOf = async (request: Request) => {
    const wishlist = wishlistOf(request)
    return wishlist === undefined ? [] : await db.listItems(wishlist)
  }

  app.get('/', async (request, response) => {
    response.json({ products: await db.listProducts(), items: await itemsOf(request), pin: request.writePin })
  })

  app.get('/wishlist', async (request, response) => {
    response.json({ items: await itemsOf(request), pin: request.writePin })
  })

  app.post('/wishlist/add', async (request, response) => {
    const product = await db.findProduct(idOf(request.body?.product))
    if (product === undefined) return notFound(response)
    await db.addItem(ensureWishlist(request, response), product.id)
    response.redirect(303, '/wishlist')
  })

  app.post('/wishlist/:product', async (request, response) => {
    const { quantity, note = '', gift } = request.body ?? {}
    const wish = { quantity: idOf(quantity), note: String(note).replaceAll('\0', ''), isGift: gift === 'on' }
    if (wish.quantity < 1 || wish.quantity > MAX_QUANTITY) {
      response.status(400).json({ error: 'How many?' })
      return
    }
    const wishlist = ensureWishlist(request, response)
    const changed = await db.changeItem(wishlist, idOf(request.params.product), wish)
    if (changed === undefined) return notFound(response)
    response.redirect(303, '/wishlist')
  })

  app.post('/wishlist/:product/remove', async (request, response) => {
    await db.removeItem(ensureWishlist(request, response), idOf(request.params.product))
    response.redirect(303, '/wishlist')
  })

  // This POST sets a cookie and writes no row, so it must not pin the browser.
  app.post('/pinning', markRoute({ dbWrite: false }), (request, response) => {
    if (request.body?.pinning === 'off') response.cookie(PINNING_COOKIE, 'off', attributes(request))
    else response.clearCookie(PINNING_COOKIE, attributes(request))
    // One of two pages, so that no form can send people to another site.
    response.redirect(303, request.body?.page === '/' ? '/' : '/wishlist')
  })
  return app
}

function ensureWishlist(request: Request, response: Response): string {
  const wishlist = wishlistOf(request) ?? randomUUID()
  response.cookie(WISHLIST_COOKIE, wishlist, { ...attributes(request), maxAge: ONE_YEAR_MS })
  return wishlist
}

const ONE_YEAR_MS = 365 * 24 * 60 * 60 * 1_000

function attributes({ secure }: Request): CookieOptions {
  return { path: '/', httpOnly: true, sameSite: 'lax', secure }
}

/** A whole number that our integer columns can hold. For anything else it is 0, which is no row's id. */
function idOf(text: unknown): number {
  return /^\d{1,9}$/.test(String(text)) ? Number(text) : 0
}

function notFound(response: Response): void {
  response.status(404).json({ error: 'That is not here any more.' })
}
