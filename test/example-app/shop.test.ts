import type { FastifyInstance } from 'fastify'
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type PostgresCluster, startPostgresCluster } from 'write-pinning/testing'
import { buildApp } from '../../example-app/src/app.ts'
import { openDatabase } from '../../example-app/src/database/open.ts'
import type { ShopDatabase } from '../../example-app/src/database/shop-database.ts'
import { migrate } from '../../example-app/src/migrations.ts'
import { findBrowser } from './find-browser.ts'

const PINNING_SECONDS = 5
const executablePath = findBrowser()

let cluster: PostgresCluster
let db: ShopDatabase
let app: FastifyInstance
let address: string

beforeAll(async () => {
  cluster = await startPostgresCluster({ replicas: 2, applyDelayMs: 2_000 })
  db = openDatabase('kysely', {
    primary: cluster.primary.connectionString,
    replicas: cluster.replicas.map((replica) => replica.connectionString),
  })
  await migrate(db)
  await cluster.waitForCatchup()
  app = await buildApp({ db, pinningSeconds: PINNING_SECONDS })
  address = await app.listen({ host: '127.0.0.1', port: 0 })
}, 120_000)

afterAll(async () => {
  await app?.close()
  await db?.close()
  await cluster?.stop()
})

describe.skipIf(executablePath === undefined)('in Chromium, over replicas that are late', () => {
  let browser: Browser
  let context: BrowserContext
  let page: Page

  beforeAll(async () => {
    browser = await chromium.launch(executablePath ? { executablePath } : {})
  }, 120_000)

  afterAll(() => browser?.close())

  beforeEach(async () => {
    context = await browser.newContext()
    page = await context.newPage()
    page.setDefaultTimeout(15_000)
    // The replicas are two seconds late already; paused, they are late enough for any machine.
    await eachReplica((replica) => replica.pauseReplay())
  })

  afterEach(async () => {
    await eachReplica((replica) => replica.resumeReplay())
    await context.close()
  })

  test('with pinning off, the item just added is missing after the redirect, and comes later', async () => {
    await page.goto(address)
    await pinningSwitch().click()
    await expectText(pinningSwitch(), /off/)
    await add('Kitchen radio')

    expect(new URL(page.url()).pathname).toBe('/wishlist')
    expect(await wishes()).toEqual([])
    await expectText(
      page.getByRole('status'),
      /You just added Kitchen radio\. .* read from replica-[12], .* not replayed/,
    )
    expect(await nodesOf('This page')).toEqual([
      expect.stringMatching(/^replica-[12]$/),
      expect.stringMatching(/^replica-[12]$/),
    ])
    expect(await nodesOf('Your form')).toContain('primary')

    await eachReplica((replica) => replica.resumeReplay())
    await cluster.waitForCatchup()
    await page.getByRole('link', { name: 'Look again' }).click()
    await expectText(page.getByRole('status'), 'Kitchen radio is on your wishlist.')
    expect(await wishes()).toEqual(['Kitchen radio'])
    expect(await nodesOf('This page')).not.toContain('primary')
  }, 60_000)

  test('with pinning on, it is there, read from the primary until the pin is over', async () => {
    await page.goto(address)
    expect(await nodesOf('This page')).not.toContain('primary')
    await add('Kitchen radio')

    expect(await wishes()).toEqual(['Kitchen radio'])
    expect(await nodesOf('This page')).toEqual(['primary', 'primary'])
    await expectText(page.getByRole('contentinfo'), /Pinned for [1-5] s more/)

    await eachReplica((replica) => replica.resumeReplay())
    await cluster.waitForCatchup()
    await expect
      .poll(
        async () => {
          await page.reload()
          return nodesOf('This page')
        },
        { timeout: 30_000, interval: 250 },
      )
      .not.toContain('primary')
    expect(await wishes()).toEqual(['Kitchen radio'])
    await expectText(page.getByRole('contentinfo'), /Not pinned/)
  }, 60_000)

  test('a changed note, a gift and a removal are seen at once', async () => {
    await page.goto(address)
    await add('Two-line kite')
    await page.getByLabel('Note').fill('<b>the red one</b> & "soon"')
    await page.getByLabel('Quantity').fill('2')
    await page.getByLabel('It is a gift').check()
    await page.getByRole('button', { name: 'Save' }).click()

    await expectText(page.getByRole('status'), 'Your changes to Two-line kite are saved.')
    expect(await page.getByLabel('Note').inputValue()).toBe('<b>the red one</b> & "soon"')
    expect(await page.getByLabel('Quantity').inputValue()).toBe('2')
    expect(await page.getByLabel('It is a gift').isChecked()).toBe(true)

    await page.getByRole('button', { name: 'Remove' }).click()
    await expectText(page.getByRole('status'), 'Two-line kite is off your wishlist.')
    await expectText(page.getByRole('main'), /Nothing here yet/)
  }, 60_000)

  test('the pin’s seconds tick down on the page, which ends by saying that it is over', async () => {
    await page.goto(address)
    await add('Enamel mug')
    await expectText(page.getByRole('contentinfo'), /The pin is over/)
  }, 60_000)

  function pinningSwitch() {
    return page.getByRole('switch', { name: 'Write pinning' })
  }

  async function add(product: string): Promise<void> {
    await page.getByRole('button', { name: `Add ${product} to wishlist` }).click()
    await page.waitForURL(`${address}/wishlist`)
  }

  function wishes(): Promise<string[]> {
    return page.locator('.wish h2').allTextContents()
  }

  function nodesOf(heading: string): Promise<string[]> {
    return page.locator('footer section', { hasText: heading }).locator('.node').allTextContents()
  }

  async function expectText(locator: ReturnType<Page['locator']>, text: string | RegExp): Promise<void> {
    const read = async () => (await locator.textContent())?.replace(/\s+/g, ' ').trim()
    await expect.poll(read, { timeout: 15_000 }).toMatch(text)
  }

  async function eachReplica(act: (replica: PostgresCluster['replicas'][number]) => Promise<unknown>) {
    await Promise.all(cluster.replicas.map(act))
  }
})

describe('forms', () => {
  const post = (url: string, fields: Record<string, string>, headers: Record<string, string> = {}) =>
    app.inject({
      method: 'POST',
      url,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      payload: new URLSearchParams(fields).toString(),
    })
  const cookieNames = (response: Awaited<ReturnType<typeof post>>) =>
    response.cookies.map((cookie) => (cookie as { name: string }).name)

  test('the switch does not pin, and goes back to the page it was on', async () => {
    const response = await post('/pinning', { pinning: 'off', page: '/wishlist' })
    expect(response.statusCode).toBe(303)
    expect(response.headers.location).toBe('/wishlist')
    expect(cookieNames(response)).toEqual(['pinning'])
  })

  test('adding pins, and gives the browser a wishlist', async () => {
    const response = await post('/wishlist/add', { product: '1' })
    expect(response.statusCode).toBe(303)
    expect(cookieNames(response).sort()).toEqual(['wishlist', 'write_pin'])
  })

  test.each([
    ['/wishlist/add', { product: 'all' }, 400],
    ['/wishlist/add', { product: '999' }, 404],
    ['/wishlist/1', { quantity: '0', note: '' }, 400],
    ['/wishlist/1', { quantity: '1', note: 'x'.repeat(141) }, 400],
    ['/wishlist/1', { quantity: '1', note: '\0' }, 400],
    ['/wishlist/1', { quantity: '1', note: '' }, 404],
    ['/pinning', { pinning: 'off', page: 'https://elsewhere.example/' }, 400],
    ['/nowhere', {}, 404],
  ])('POST %s with %j is answered with a page: %i', async (url, fields, status) => {
    const response = await post(url, fields)
    expect(response.statusCode).toBe(status)
    expect(response.headers['content-type']).toBe('text/html; charset=utf-8')
    expect(response.body).toContain('<h1>')
  })

  test('a form that another site has sent is refused', async () => {
    const response = await post('/wishlist/add', { product: '1' }, { 'sec-fetch-site': 'cross-site' })
    expect(response.statusCode).toBe(403)
    expect(cookieNames(response)).toEqual([])
  })
})
