import { Queue, Worker } from 'bullmq'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { capturePin, runWithPin } from 'write-pinning'
import { hasRedisServer, type RedisServer, startRedisServer } from '../support/redis-server.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// What docs/recipes/jobs.md says of BullMQ. That of pg-boss is run there.
const SECRET = 'a secret of at least thirty-two characters'
const NAME = 'invoices'

interface Job {
  name: string
  pin: string | undefined
}

describe.skipIf(!hasRedisServer())('a job of BullMQ', () => {
  const { db, insert } = useShop({ isLate: true })
  let redis: RedisServer
  let queue: Queue<Job>
  let worker: Worker<Job, number>

  beforeAll(async () => {
    redis = await startRedisServer()
    queue = new Queue(NAME, { connection: { url: redis.url } })
  })

  afterAll(async () => {
    await worker?.close()
    await queue?.close()
    await redis?.stop()
  })

  async function countByName({ data }: { data: Job }): Promise<number> {
    const count = async () => {
      const found = await db.selectFrom('item').select('id').where('name', '=', data.name).execute()
      return found.length
    }
    return await runWithPin(data.pin, count, { secret: SECRET })
  }

  /** Queues a job in a request that has written, and gives how many it found and where it looked. */
  async function runJob(name: string, capture: () => Promise<string | undefined>): Promise<[number, string]> {
    await runWithPin(
      undefined,
      async () => {
        await insert(name)
        await queue.add('invoice', { name, pin: await capture() })
      },
      { secret: SECRET },
    )
    let found = 0
    const routes = await routesOf(async () => {
      worker = new Worker<Job, number>(NAME, countByName, { connection: { url: redis.url } })
      found = await new Promise<number>((resolve, reject) => {
        worker.on('completed', (_job, result) => resolve(result))
        worker.on('failed', (_job, error) => reject(error))
      })
      await worker.close()
    })
    return [found, routes.map(({ role, reason }) => `${role}: ${reason}`).join()]
  }

  it('with the token of its request finds what that wrote, although no replica has it', async () => {
    const found = await runJob('with', () => capturePin({ seconds: 3_600 }))
    expect(found).toEqual([1, 'primary: pin'])
  })

  it('without a token may miss it', async () => {
    expect(await runJob('without', async () => undefined)).toEqual([0, 'replica: read'])
  })
})
