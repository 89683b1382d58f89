import { describe, expect, it } from 'vitest'
import { useNode, usePrimary, useReplica } from 'write-pinning'
import { inRequest, openRequest } from '../support/request.ts'
import { routesOf, whereAndWhy } from '../support/routes.ts'
import { contract, opened, startCluster, withReplayPaused } from './contract.ts'

const cluster = await startCluster(2)
withReplayPaused(cluster)

contract((client) => {
  const db = opened(client, cluster)
  const names = () => db().names()

  describe('a scope', () => {
    it('sends the reads inside it where it says, and leaves the others as they were', async () => {
      const routes = await whereAndWhy(() =>
        inRequest(async () => {
          await names()
          await usePrimary(names)
          await usePrimary(() => useReplica(names))
          await names()
        }),
      )
      expect(routes).toEqual([
        'replica: read',
        'primary: use-primary',
        'replica: use-replica',
        'replica: read',
      ])
    })

    it('reads a replica in useReplica() even under a pin, and sends a write to the primary', async () => {
      const pinned = openRequest({ pinnedUntilMs: Date.now() + 60_000 })
      const routes = await whereAndWhy(() =>
        pinned.run(async () => {
          await useReplica(() => db().run("insert into item (name) values ('lamp')"))
          expect(await useReplica(names)).toEqual([])
          expect(await names()).toEqual(['lamp'])
        }),
      )
      expect(routes).toEqual(['primary: write', 'replica: use-replica', 'primary: own-write'])
    })

    it('names the node that serves, and refuses a write there before it is sent', async () => {
      const routes = await routesOf(async () => {
        for (const node of ['replica-2', 'replica-1', 'primary']) await useNode(node, names)
      })
      expect(routes.map(({ node }) => node)).toEqual(['replica-2', 'replica-1', 'primary'])
      const writing = useNode('replica-1', () => db().run("insert into item (name) values ('never')"))
      expect(codesOf(await writing.catch((error: unknown) => error))).toContain(
        'ERR_WRITE_PINNING_WRITE_ON_REPLICA',
      )
    })

    it('in a transaction changes nothing: it is on the primary, all through', async () => {
      await inRequest(() =>
        db().transaction(async (inside) => {
          await inside.add('lamp')
          expect(await useReplica(() => inside.names())).toEqual(['lamp'])
        }),
      )
    })

    it('holds for concurrent branches, each for itself', async () => {
      const isReplica = async () => (await db().run('select pg_is_in_recovery() as it'))[0]?.it
      const branches = Array.from({ length: 30 }, (_, at) =>
        (at % 2 === 0 ? useReplica : usePrimary)(isReplica),
      )
      expect(await inRequest(() => Promise.all(branches))).toEqual(branches.map((_, at) => at % 2 === 0))
    })
  })

  it('an operator has the primary serve, drains a replica, and takes it back', async () => {
    const nodesOf = async (fn: () => unknown) =>
      (await routesOf(() => inRequest(async () => fn()))).map(({ node }) => node)
    const { control } = db()
    control.setMode('primary')
    expect(await nodesOf(names)).toEqual(['primary'])
    control.setMode('split')
    control.drain('replica-1')
    expect(await nodesOf(names)).toEqual(['replica-2'])
    control.resume('replica-1')
    control.drain('replica-2')
    expect(await nodesOf(names)).toEqual(['replica-1'])
    control.resume('replica-2')
    control.setReplicaShare(0)
    expect(await nodesOf(names)).toEqual(['primary'])
    control.setReplicaShare(1)
  })
})

contract((client) => {
  const db = opened(client, cluster)

  it('a query that is sent once it is awaited runs in the scope that it is returned from', async () => {
    await cluster.primary.query("insert into item (name) values ('fresh')")
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        expect(await usePrimary(() => db().lazy())).toMatchObject([{ name: 'fresh' }])
        expect(await usePrimary(async () => db().lazy())).toMatchObject([{ name: 'fresh' }])
        const [first] = await usePrimary(() => Promise.all([db().lazy()]))
        expect(first).toMatchObject([{ name: 'fresh' }])
        expect(await db().lazy()).toEqual([])
      }),
    )
    expect(routes).toEqual([
      'primary: use-primary',
      'primary: use-primary',
      'primary: use-primary',
      'replica: read',
    ])
  })
}, 'lazy')

contract((client) => {
  const db = opened(client, cluster)
  const READ = 'select name from item order by id'

  it('toPrimary reads from the primary, and only that once', async () => {
    await cluster.primary.query("insert into item (name) values ('fresh')")
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        expect(await db().marked('toPrimary', READ)).toEqual([{ name: 'fresh' }])
        expect(await db().run(READ)).toEqual([])
      }),
    )
    expect(routes).toEqual(['primary: mark', 'replica: read'])
  })

  it('toReplica reads from a replica, also after a write, and sends no write there', async () => {
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        await db().marked('toReplica', "insert into item (name) values ('fresh')")
        expect(await db().marked('toReplica', READ)).toEqual([])
      }),
    )
    expect(routes).toEqual(['primary: write', 'replica: mark'])
  })

  it('orPrimary asks the primary where a replica gives no row, and only then', async () => {
    await cluster.primary.query("insert into item (name) values ('fresh')")
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        expect(await db().marked('orPrimary', READ)).toEqual([{ name: 'fresh' }])
        expect(await db().marked('orPrimary', 'select 1 as one')).toEqual([{ one: 1 }])
      }),
    )
    expect(routes).toEqual(['replica: read', 'primary: or-primary', 'replica: read'])
  })
}, 'mark')

/** The codes of an error and of what it wraps. */
function codesOf(error: unknown): unknown[] {
  if (error === undefined || error === null) return []
  const { code, cause, driverError, parent } = error as Record<string, unknown>
  return [code, ...codesOf(cause), ...codesOf(driverError), ...codesOf(parent)]
}
