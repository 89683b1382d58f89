import { PrismaPg } from '@prisma/adapter-pg'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { inRequest, openRequest } from '../support/request.ts'
import { nodesOf } from './client.ts'
import { startCluster, WAIT, withReplayPaused } from './contract.ts'
import { PrismaClient } from './prisma-client.ts'

// Prisma gathers what is asked by `findUnique` within one tick, whoever asks, and sends it in the context of the first: its read
// is then as stale as that one's may be. Two requests meet in a tick where both had waited for the same promise.
const cluster = await startCluster()
const pool = new PrimaryReplicaPool(nodesOf(cluster))
const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })

beforeAll(async () => {
  await pool.ready()
  await vi.waitFor(() => {
    for (const node of pool.status().nodes) expect(node).toMatchObject({ isFit: true })
  }, WAIT)
})
withReplayPaused(cluster)

afterAll(async () => {
  await prisma.$disconnect()
  await pool.end()
})

/** What a pinned request finds of what it has just written, while another one that is not pinned asks as well. */
async function findBeside(client: PrismaClient) {
  await cluster.primary.query("insert into item (id, name) values (1, 'lamp'), (2, 'chair')")
  const pinned = openRequest({ pinnedUntilMs: Date.now() + 60_000 })
  const find = async (id: number) => await client.item.findUnique({ where: { id } })
  const [, own] = await Promise.all([inRequest(() => find(1)), pinned.run(() => find(2))])
  return own
}

it('a pinned request misses its write where Prisma sends its `findUnique` in the context of another one', async () => {
  expect(await findBeside(prisma)).toBeNull()
})

it('a pinned request sees its write by `findUnique` where that is sent as `findFirst`, which is not gathered', async () => {
  const findUnique = ({ args }: { args: { where: { id: number } } }) => prisma.item.findFirst(args)
  const extended = prisma.$extends({ query: { item: { findUnique } } })
  expect(await findBeside(extended)).toEqual({ id: 2, name: 'chair' })
})
