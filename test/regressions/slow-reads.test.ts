import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { heldBy, pinOfToken, SECRET, seesOn } from '../support/exact.ts'
import type { UserAgent } from '../support/http.ts'
import { useShop } from '../support/shop.ts'
import type { Watched } from '../support/watched.ts'
import { withResolvers } from '../support/with-resolvers.ts'

// With `monotonicReads`, a read that is answered after a later write of the same user agent carries an older position.
const { cluster, watch, serveShop } = useShop()
let watched: Watched

beforeEach(async () => {
  watched = await watch({ probeIntervalMs: 100 })
  await watched.untilEligible('replica-1')
})

afterEach(async () => {
  await cluster.replicas[0]?.resumeReplay()
  await cluster.waitForCatchup()
})

interface SlowShop {
  readonly agent: UserAgent
  /** Reads, and is answered after `meanwhile`, which begins when it has read. */
  slowRead(meanwhile: () => Promise<unknown>): Promise<void>
}

async function serveSlowly(options: object, setCookie?: string): Promise<SlowShop> {
  let hasRead = withResolvers<void>()
  let mayAnswer = withResolvers<void>()
  const { openAgent } = await serveShop(watched.db, { monotonicReads: true, ...options }, async (shop) => {
    shop.get('/slow', async (_request, reply) => {
      const items = await watched.db.selectFrom('item').select('id').execute()
      hasRead.resolve()
      await mayAnswer.promise
      if (setCookie !== undefined) reply.header('set-cookie', setCookie)
      return items.length
    })
  })
  const agent = openAgent()
  return {
    agent,
    async slowRead(meanwhile) {
      hasRead = withResolvers()
      mayAnswer = withResolvers()
      const answered = agent.get('/slow')
      await hasRead.promise
      await meanwhile()
      mayAnswer.resolve()
      expect((await answered).status).toBe(200)
    },
  }
}

const heldIn = async (agent: UserAgent, name: string) => heldBy(pinOfToken(await agent.pin(name)))

describe.each([
  ['signed', { secret: SECRET }, /^write_pin_[\w-]{3}$/],
  ['of a name that was chosen', { cookie: { name: 'fresh' } }, /^fresh$/],
  ['that nobody signs', { secret: undefined }, /^write_pin$/],
])('where the pin is %s', (_what, options, name) => {
  test.each([
    ['none', false],
    ['one of before', true],
  ])(
    'a read that was slow takes nothing from a write of after it, where both brought %s',
    async (_brought, hasBrought) => {
      const { agent, slowRead } = await serveSlowly(options)
      if (hasBrought) {
        await agent.post('/items/before')
        await cluster.primary.query("insert into item (name) values ('of somebody else')")
        await cluster.waitForCatchup()
      }
      await cluster.replicas[0]?.pauseReplay()
      await slowRead(() => agent.post('/items/lamp'))
      expect(await seesOn(agent, 'lamp')).toEqual([true, 'primary'])
    },
  )

  test('what was written and what was only seen have a cookie each, and both hold', async () => {
    const { agent, slowRead } = await serveSlowly(options)
    await slowRead(() => agent.post('/items/lamp'))
    const names = (await agent.jar.getCookies(agent.origin)).map(({ key }) => key).sort()
    expect(names).toEqual([expect.stringMatching(name), `${names[0]}_seen`])
    const [written, seen] = names as [string, string]
    expect(await heldIn(agent, written)).toBeGreaterThan((await heldIn(agent, seen)) as bigint)
    // What a later read has seen is further on than what was written.
    await cluster.primary.query("insert into item (name) values ('more')")
    await cluster.waitForCatchup()
    await agent.get('/items/more')
    expect(await heldIn(agent, seen)).toBeGreaterThan((await heldIn(agent, written)) as bigint)
    // And so it is where the pin of the write is over.
    await agent.jar.store.removeCookie(new URL(agent.origin).hostname, '/', written)
    const before = await heldIn(agent, seen)
    await agent.post('/items/last')
    expect(await heldIn(agent, written)).toBeGreaterThan(before as bigint)
  })
})

test('a read that passes on the pin of an upstream leaves nothing out that was brought', async () => {
  const upstream = `write_pin=1t${(Date.now() + 5_000).toString(36)}; Path=/; HttpOnly; SameSite=Lax`
  const { agent, slowRead } = await serveSlowly({ secret: undefined }, upstream)
  await agent.post('/items/lamp')
  const brought = pinOfToken(await agent.pin('write_pin'))
  await cluster.waitForCatchup()
  await slowRead(async () => {})
  const pin = pinOfToken(await agent.pin('write_pin'))
  expect(pin).toMatchObject({ kind: 'exact', untilMs: brought?.untilMs })
  expect(pin?.kind === 'exact' && pin.primaryUntilMs).toBeGreaterThan(0)
})
