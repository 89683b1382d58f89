import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import type { PoolLike, PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import { type Database, openDatabase } from '../support/cluster.ts'
import { clientsOf, inUse, namedPool } from '../support/server-clients.ts'
import { useShop } from '../support/shop.ts'
import { kyselyVersion } from './kysely-version.ts'

// Kysely 0.28 has no abort signal: there, the one thing to be shown is that these tests were left out.
const canAbort = kyselyVersion !== '0.28'

if (!canAbort)
  test(`Kysely ${kyselyVersion} has no abort signal to be tested`, () => expect(canAbort).toBe(false))

type Strategy = 'ignore query' | 'cancel query' | 'kill session'
interface Abortable {
  execute(options: { signal: AbortSignal; inflightQueryAbortStrategy?: Strategy }): Promise<unknown>
}

let cluster: PostgresCluster
let consoleError: MockInstance

if (canAbort) {
  cluster = useShop({
    replicas: 2,
    sql: "insert into item (name) select 'item ' || n from generate_series(1, 100) n",
  }).cluster
  // Kysely prints what fails in the background after an abort, as the cancelled query does.
  beforeEach(() => {
    consoleError = vi.spyOn(console, 'error').mockImplementation(() => {})
  })
  afterEach(() => consoleError.mockRestore())
}

const sleepers = (node: PostgresNode, who = '') =>
  clientsOf(node).then((clients) =>
    clients.filter(({ state, query }) => state === 'active' && query.includes(`pg_sleep(30) as "${who}`)),
  )
const sleep = (db: Kysely<Database>, who: string) =>
  db.selectNoFrom(sql<string>`pg_sleep(30)`.as(who)) as unknown as Abortable & { execute(): Promise<unknown> }

async function waitForSleeper(node: PostgresNode, who: string): Promise<number> {
  return vi.waitFor(
    async () => {
      const [sleeper] = await sleepers(node, who)
      if (sleeper === undefined) throw new Error(`${who} does not run`)
      return sleeper.pid
    },
    { timeout: 5_000, interval: 10 },
  )
}

/** Pools of one connection, as `pg` makes them or without the member `Client`. */
const forms: Record<string, (node: PostgresNode) => PoolLike> = {
  'pools of one connection': (node) => namedPool(node, 'abort', { max: 1 }),
  'pools without the member `Client`': (node) => {
    const pool = namedPool(node, 'abort', { max: 2 })
    // A pool without events, too: then it is its owner who must hear of killed sessions.
    pool.on('error', () => {})
    pool.on('connect', (client) => client.on('error', () => {}))
    return { connect: () => pool.connect(), end: () => pool.end() } as PoolLike
  },
}

const where = {
  'the primary': { scope: usePrimary, node: () => cluster.primary },
  'a replica': { scope: useReplica, node: () => cluster.replicas[0] as PostgresNode },
}

const openWith = (
  form: (node: PostgresNode) => PoolLike,
  options: Partial<PrimaryReplicaDialectOptions> = {},
) =>
  openDatabase(cluster, {
    primary: form(cluster.primary),
    replicas: [form(cluster.replicas[0] as PostgresNode)],
    ...options,
  })

if (canAbort)
  describe('aborting a query', () => {
    for (const strategy of ['cancel query', 'kill session'] as const)
      for (const [formName, form] of Object.entries(forms))
        for (const [nodeName, { scope, node }] of Object.entries(where)) {
          test(`by '${strategy}', with ${formName}, ends it on ${nodeName} and nothing else anywhere`, async () => {
            await using db = openWith(form)
            await using others = openWith((each) => namedPool(each, 'others'))
            const bystanders = [
              usePrimary(() => sleep(others, 'bystander').execute()),
              useReplica(() => sleep(others, 'bystander').execute()),
            ].map((each) => each.catch((error: Error) => error))
            const pids: number[] = []
            for (const each of [cluster.primary, cluster.replicas[0] as PostgresNode])
              pids.push(await waitForSleeper(each, 'bystander'))

            const controller = new AbortController()
            const aborted = scope(() =>
              sleep(db, 'victim').execute({
                signal: controller.signal,
                inflightQueryAbortStrategy: strategy,
              }),
            )
            const rejected = expect(aborted).rejects.toThrow('given up')
            const victim = await waitForSleeper(node(), 'victim')
            controller.abort(new Error('given up'))
            await rejected
            await vi.waitFor(async () => expect(await sleepers(node(), 'victim')).toEqual([]))
            for (const each of [cluster.primary, cluster.replicas[0] as PostgresNode])
              expect(await sleepers(each, 'bystander')).toHaveLength(1)

            const clients = await clientsOf(node(), 'abort')
            expect(clients.map(({ pid }) => pid).includes(victim)).toBe(strategy === 'cancel query')
            // The next query of the one connection is undisturbed.
            expect(await scope(() => db.selectFrom('item').select('id').limit(1).execute())).toHaveLength(1)
            for (const each of cluster.nodes)
              for (const { pid } of await sleepers(each)) if (pids.includes(pid)) await cancel(each, pid)
            await Promise.all(bystanders)
          })
        }

    test("by 'ignore query' leaves it running", async () => {
      await using db = openWith((node) => namedPool(node, 'abort', { max: 2 }))
      const controller = new AbortController()
      const aborted = useReplica(() => sleep(db, 'ignored').execute({ signal: controller.signal }))
      const rejected = expect(aborted).rejects.toThrow('given up')
      const replica = cluster.replicas[0] as PostgresNode
      const pid = await waitForSleeper(replica, 'ignored')
      controller.abort(new Error('given up'))
      await rejected
      expect(await sleepers(replica, 'ignored')).toHaveLength(1)
      await cancel(replica, pid)
    })

    test('before it starts, or while it waits for a connection, sends nothing', async () => {
      const pool = namedPool(cluster.replicas[0] as PostgresNode, 'waiting', { max: 1 })
      await using db = openDatabase(cluster, { replicas: [pool] })
      const controller = new AbortController()
      controller.abort(new Error('too late'))
      const late = useReplica(() => sleep(db, 'never').execute({ signal: controller.signal }))
      await expect(late).rejects.toThrow('too late')

      await useReplica(() =>
        db.connection().execute(async (one) => {
          await one.selectFrom('item').select('id').execute()
          const waiting = new AbortController()
          const queued = sleep(db, 'never').execute({
            signal: waiting.signal,
            inflightQueryAbortStrategy: 'kill session',
          })
          const rejected = expect(queued).rejects.toThrow('given up')
          await vi.waitFor(() => expect(pool.waitingCount).toBe(1))
          waiting.abort(new Error('given up'))
          await rejected
        }),
      )
      // Had it been sent, it would sleep on the pool's one connection for half a minute.
      await vi.waitFor(() => expect(inUse(pool)).toBe(0))
      expect(await useReplica(() => db.selectFrom('item').select('id').limit(1).execute())).toHaveLength(1)
    })

    test('uses `controlClient`, where it is given, on the node of the query', async () => {
      const ports: unknown[] = []
      class ControlClient extends pg.Client {
        constructor(config?: string | pg.ClientConfig) {
          super(config)
          ports.push(this.port)
        }
      }
      await using db = openWith((node) => namedPool(node, 'abort', { max: 1 }), {
        controlClient: ControlClient,
      } as Partial<PrimaryReplicaDialectOptions>)
      for (const { scope, node } of Object.values(where)) {
        const controller = new AbortController()
        const aborted = scope(() =>
          sleep(db, 'victim').execute({
            signal: controller.signal,
            inflightQueryAbortStrategy: 'cancel query',
          }),
        )
        const rejected = expect(aborted).rejects.toThrow()
        await waitForSleeper(node(), 'victim')
        controller.abort()
        await rejected
        await vi.waitFor(async () => expect(await sleepers(node(), 'victim')).toEqual([]))
      }
      const expected = [cluster.primary, cluster.replicas[0] as PostgresNode]
      expect(ports.filter((port) => expected.some((each) => each.port === port))).toEqual(
        expected.map(({ port }) => port),
      )
    })

    test('within a transaction leaves it to be rolled back', async () => {
      await using db = openWith((node) => namedPool(node, 'abort', { max: 1 }))
      const controller = new AbortController()
      const transaction = db.transaction().execute(async (trx) => {
        await trx.insertInto('item').values({ name: 'aborted' }).execute()
        const aborted = sleep(trx, 'victim').execute({
          signal: controller.signal,
          inflightQueryAbortStrategy: 'cancel query',
        })
        const error = await aborted.catch((reason: unknown) => reason)
        // Kysely cancels no query behind which another one waits already, such as the rollback.
        await vi.waitFor(async () => expect(await sleepers(cluster.primary, 'victim')).toEqual([]))
        throw error
      })
      const rejected = expect(transaction).rejects.toThrow()
      await waitForSleeper(cluster.primary, 'victim')
      controller.abort()
      await rejected
      const names = await usePrimary(() => db.selectFrom('item').select('name').execute())
      expect(names.map(({ name }) => name)).not.toContain('aborted')
    })

    test('that streams gives its connection back', async () => {
      const pool = namedPool(cluster.replicas[0] as PostgresNode, 'streaming', { max: 1 })
      await using db = openDatabase(cluster, { replicas: [pool] })
      const controller = new AbortController()
      const rows = db.selectFrom('item').selectAll() as unknown as {
        stream(options: object): AsyncIterableIterator<unknown>
      }
      let seen = 0
      const reading = useReplica(async () => {
        for await (const _ of rows.stream({ chunkSize: 1, signal: controller.signal })) {
          if (++seen === 3) controller.abort(new Error('given up'))
        }
      })
      await expect(reading).rejects.toThrow('given up')
      expect(seen).toBe(3)
      await vi.waitFor(() => expect(inUse(pool)).toBe(0))
    })
  })

async function cancel(node: PostgresNode, pid: number): Promise<void> {
  await node.query('select pg_cancel_backend($1)', [pid])
}
