import { beforeAll, expect, test } from 'vitest'
import { capturePin, runWithPin } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { heldBy, pinOfToken, SECRET } from '../support/exact.ts'
import type { UserAgent } from '../support/http.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// A job reads from a replica, and from one that has what its queuer wrote.
const { cluster, db, serveShop } = useShop({ replicas: 2 })
let first: PostgresNode
let agent: UserAgent

beforeAll(async () => {
  first = cluster.replicas[0] as PostgresNode
  const shop = await serveShop(db, {}, async (routes) => {
    routes.post<{ Params: { name: string } }>('/jobs/:name', async ({ params: { name } }) => {
      await add(name)
      return { pin: await capturePin({ seconds: 3_600 }) }
    })
  })
  agent = shop.openAgent()
})

const add = (name: string) => db.insertInto('item').values({ name }).execute()
const isThere = async (name: string) =>
  (await db.selectFrom('item').select('id').where('name', '=', name).execute()).length > 0
const queue = async (name: string): Promise<string> => (await agent.post(`/jobs/${name}`)).json().pin

/** Runs a job, and gives what it gave and the nodes that it used. */
async function runJob<T>(pin: string | undefined, job: () => Promise<T>): Promise<[T, string[]]> {
  let result: T | undefined
  const routes = await routesOf(async () => {
    result = await runWithPin(pin, job, { secret: SECRET })
  })
  return [result as T, routes.map(({ node }) => node)]
}

test('a job reads what its queuer wrote, from the replica that has it', async () => {
  await first.pauseReplay()
  const pin = await queue('queued')
  expect(heldBy(pinOfToken(pin))).toEqual(expect.any(BigInt))
  await cluster.waitForCatchup()
  for (let time = 0; time < 10; time++) {
    expect(await runJob(pin, () => isThere('queued'))).toEqual([true, ['replica-2']])
  }
  await first.resumeReplay()
})

test('it reads from the primary while no replica has it, and its own writes from there', async () => {
  for (const replica of cluster.replicas) await replica.pauseReplay()
  const pin = await queue('paused')
  expect(await runJob(pin, () => isThere('paused'))).toEqual([true, ['primary']])
  for (const replica of cluster.replicas) await replica.resumeReplay()
  await cluster.waitForCatchup()
  const job = async () => {
    const before = await isThere('paused')
    await add('own')
    return [before, await isThere('own')]
  }
  expect(await runJob(pin, job)).toEqual([
    [true, true],
    [expect.stringMatching(/^replica/), 'primary', 'primary'],
  ])
})

test('it hands on what it wrote, together with what it was given', async () => {
  const pin = await queue('given')
  const [next] = await runJob(pin, async () => {
    await add('handed on')
    return capturePin({ seconds: 60 })
  })
  const [given, handedOn] = [heldBy(pinOfToken(pin)), heldBy(pinOfToken(next))]
  expect(handedOn).toBeGreaterThan(given as bigint)
  await cluster.waitForCatchup()
  expect(await runJob(next, () => isThere('handed on'))).toEqual([true, [expect.stringMatching(/^replica/)]])
})
