import { createServer } from 'node:http'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startPostgresCluster } from 'write-pinning/testing'
import { buildApp } from '../../example-app/src/app.ts'
import { CLIENTS, openDatabase } from '../../example-app/src/database/open.ts'
import type { ShopDatabase } from '../../example-app/src/database/shop-database.ts'
import { buildExpressApp } from '../../example-app/src/express-app.ts'
import { migrate } from '../../example-app/src/migrations.ts'
import { listen, listenOn, pinCookie, type UserAgent } from '../support/http.ts'

const cluster = await startPostgresCluster({ replicas: 1 })
const servers = {
  primary: cluster.primary.connectionString,
  replicas: cluster.replicas.map((replica) => replica.connectionString),
}
const databases = CLIENTS.map((client) => ({ client, db: openDatabase(client, servers) }))
for (const { db } of databases) await migrate(db)
await cluster.waitForCatchup()

const closing: (() => Promise<unknown>)[] = []

async function onFastify(db: ShopDatabase): Promise<UserAgent> {
  const app = await buildApp({ db })
  closing.push(() => app.close())
  return (await listen(app))()
}

async function onExpress(db: ShopDatabase): Promise<UserAgent> {
  const server = createServer(buildExpressApp({ db }))
  closing.push(() => new Promise((resolve) => server.close(resolve)))
  return (await listenOn(server))()
}

const wishesOfPage = (page: string) =>
  [...page.matchAll(/action="\/wishlist\/\d+" aria-label="([^"]+)"/g)].map(([, name]) => name)
const wishesOfJson = (json: string) =>
  JSON.parse(json).items.map(({ product }: { product: { name: string } }) => product.name)

beforeEach(() => cluster.replicas[0]?.pauseReplay())

afterEach(async () => {
  for (const close of closing.splice(0)) await close()
  await cluster.replicas[0]?.resumeReplay()
  await cluster.waitForCatchup()
})

afterAll(async () => {
  await Promise.all(databases.map(({ db }) => db.close()))
  await cluster.stop()
})

const frameworks = [
  { framework: 'Fastify', startOn: onFastify, wishesOf: wishesOfPage },
  { framework: 'Express', startOn: onExpress, wishesOf: wishesOfJson },
]

describe.each(
  frameworks.flatMap((framework) => databases.map((database) => ({ ...framework, ...database }))),
)('the example on $framework and $client, over a replica that is late', ({ startOn, wishesOf, db }) => {
  const start = () => startOn(db)
  const add = (user: UserAgent) => user.post('/wishlist/add', { body: new URLSearchParams({ product: '5' }) })
  const wishes = async (user: UserAgent) => wishesOf((await user.get('/wishlist')).body)

  it('shows what was added, changed and removed, on the page after each form', async () => {
    const user = await start()
    const added = await add(user)
    expect(added.status).toBe(303)
    expect(added.headers.location).toBe('/wishlist')
    expect(pinCookie(added)).toBeDefined()
    expect(await wishes(user)).toEqual(['Kitchen radio'])

    const changed = await user.post('/wishlist/5', {
      body: new URLSearchParams({ quantity: '7', note: 'the walnut one', gift: 'on' }),
    })
    expect(changed.status).toBe(303)
    const page = await user.get('/wishlist')
    expect(page.body).toContain('the walnut one')

    expect((await user.post('/wishlist/5/remove')).status).toBe(303)
    expect(await wishes(user)).toEqual([])
  })

  it('misses it where the browser has turned pinning off, which pins nobody', async () => {
    const user = await start()
    const off = await user.post('/pinning', {
      body: new URLSearchParams({ pinning: 'off', page: '/wishlist' }),
    })
    expect(off.status).toBe(303)
    expect(pinCookie(off)).toBeUndefined()
    expect(pinCookie(await add(user))).toBeUndefined()
    expect(await wishes(user)).toEqual([])
  })

  it('says so where there is no such product', async () => {
    const user = await start()
    const answer = await user.post('/wishlist/add', { body: new URLSearchParams({ product: '999' }) })
    expect(answer.status).toBe(404)
  })
})
