import { fastify } from 'fastify'
import { expect, test } from 'vitest'
import { capturePin, runWithPin } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import { pinOfToken, SECRET } from '../support/exact.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'

// A job within a request, whose tokens are those of another cookie: the secret is that of the request's plugin.
const { db, read, listen } = useShop()
const OTHER = { cookieName: 'other_pin' }

async function writeAndCapture(): Promise<string | undefined> {
  await db.insertInto('item').values({ name: 'lamp' }).execute()
  return capturePin()
}

/** Does something in a request of a plugin that signs. */
async function inRequest<T>(work: () => Promise<T>): Promise<T> {
  const app = fastify()
  await app.register(writePinning, { secret: SECRET })
  let done: Promise<T> | undefined
  app.get('/', async () => {
    done = work()
    await done
    return 'done'
  })
  expect((await (await listen(app))().get('/')).status).toBe(200)
  return done as Promise<T>
}

test('a job in a request believes a token of another cookie that the secret of the request has signed', async () => {
  const token = await runWithPin(undefined, writeAndCapture, { secret: SECRET, ...OTHER })
  let routes: string[] = []
  const warnings = await warningsOf(() =>
    inRequest(() =>
      runWithPin(
        token,
        async () => {
          routes = await whereAndWhy(read)
        },
        OTHER,
      ),
    ),
  )
  expect([routes, warnings]).toEqual([['primary: pin'], []])
})

test('and none that nobody has signed, or that was signed for the cookie of the request', async () => {
  const untilMs = Date.now() + 3_600_000
  const unsigned = `1t${untilMs.toString(36)}`
  const hourAfterWrite = async () => {
    await writeAndCapture()
    return capturePin({ seconds: 3_600 })
  }
  const ofRequest = await runWithPin(undefined, hourAfterWrite, { secret: SECRET })
  await inRequest(async () => {
    for (const token of [unsigned, ofRequest]) {
      // It counts as a write that was seen just now, and no longer.
      const pin = pinOfToken(await runWithPin(token, () => capturePin(), OTHER))
      expect(pin?.untilMs).toBeLessThan(Date.now() + 60_000)
    }
  })
})

test('what it hands on is signed with that secret, for that cookie', async () => {
  const token = await inRequest(() => runWithPin(undefined, writeAndCapture, OTHER))
  let routes: string[] = []
  const warnings = await warningsOf(() =>
    runWithPin(
      token,
      async () => {
        routes = await whereAndWhy(read)
      },
      { secret: SECRET, ...OTHER },
    ),
  )
  expect([routes, warnings]).toEqual([['primary: pin'], []])
})
