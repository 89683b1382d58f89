import { fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import { openDatabase } from '../support/cluster.ts'
import { listen } from '../support/http.ts'
import { useShop } from '../support/shop.ts'

const { cluster } = useShop({ replicas: 2 })

const OURS = "select count(*)::int as n from pg_stat_activity where application_name = 'leak-test'"

describe('app.close() and db.destroy()', () => {
  it('leave no connection, socket or timer behind', async () => {
    const before = resources()
    const nodes = [cluster.primary, ...cluster.replicas]
    const [primary, ...replicas] = nodes.map(({ connectionString }) => ({
      connectionString,
      application_name: 'leak-test',
    }))
    if (primary === undefined) throw new Error('no primary')
    const db = openDatabase(cluster, { primary, replicas })
    const app = fastify()
    await app.register(writePinning)
    app.get('/items', async () => db.selectFrom('item').selectAll().execute())
    app.post('/items', async () => db.insertInto('item').values({ name: 'lamp' }).execute())
    app.addHook('onClose', () => db.destroy())
    const user = (await listen(app))()
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 ? user.get('/items') : user.post('/items'))),
    )
    for (const node of nodes) expect(await connections(node)).toBeGreaterThan(0)

    await app.close()
    for (const node of nodes) await expect.poll(() => connections(node)).toBe(0)
    await expect.poll(resources).toEqual(before)
  })
})

async function connections(node: (typeof cluster.nodes)[number]): Promise<unknown> {
  return (await node.query(OURS))[0]?.n
}

/** What keeps this process alive; the test runner's own timers come and go. */
function resources(): string[] {
  return process
    .getActiveResourcesInfo()
    .filter((each) => /TCP|Timeout|Pipe|Process/.test(each))
    .sort()
}
