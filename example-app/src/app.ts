import cookie from '@fastify/cookie'
import formbody from '@fastify/formbody'
import Fastify, { type FastifyInstance } from 'fastify'
import { writePinning } from 'write-pinning/fastify'
import { serveAssets } from './assets.ts'
import { isPinningOff } from './browser.ts'
import type { ShopDatabase } from './database/shop-database.ts'
import { LastWrites } from './last-write.ts'
import { showErrors } from './routes/errors.ts'
import { pinningRoutes } from './routes/pinning.ts'
import { shopRoutes } from './routes/shop.ts'
import { wishlistRoutes } from './routes/wishlist.ts'
import { protect } from './security.ts'
import type { Shop } from './shop.ts'
import { traceStatements } from './trace.ts'

export interface ShopOptions {
  db: ShopDatabase
  /** How long a browser's reads go to the primary after a write, in seconds. */
  pinningSeconds?: number
}

export async function buildApp({ db, ...pinning }: ShopOptions): Promise<FastifyInstance> {
  const app = Fastify({
    logger: { level: 'error' },
    bodyLimit: 16 * 1024,
    forceCloseConnections: true, // a browser's idle connection would delay the stop for a minute
  })
  const shop: Shop = { db, lastWrites: new LastWrites() }

  showErrors(app)
  protect(app)
  await app.register(cookie) // before write pinning, because `skip` reads a cookie of ours
  await app.register(formbody)
  await app.register(writePinning, { ...pinning, skip: isPinningOff })
  traceStatements(app)

  serveAssets(app)
  shopRoutes(app, shop)
  wishlistRoutes(app, shop)
  pinningRoutes(app)
  return app
}
