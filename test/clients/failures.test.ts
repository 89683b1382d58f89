import { afterEach, describe, expect, it, vi } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { inRequest, openRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { terminateClients } from '../support/server-clients.ts'
import { contract, opened, openFit, running, startCluster, terminateRunning, WAIT } from './contract.ts'

// An `error` event that nobody listens to would end the process; vitest fails a file that has one.
const cluster = await startCluster()
const replica = cluster.replicas[0] as PostgresNode

await cluster.primary.query(`
  create function add_item(text) returns int language sql volatile as
    $$ insert into item (name) values ($1) returning id $$`)
// Only a hot standby sleeps: on the primary it is over at once.
const SLOW_READ = 'select pg_sleep(case when pg_is_in_recovery() then 30 else 0 end)::text, 42 as answer'

const namesOnPrimary = async () =>
  (await cluster.primary.query('select name from item order by id')).map(({ name }) => name)

contract((client) => {
  describe('what a replica refuses', () => {
    // The classifier is told wrong, so that it takes a write for a read.
    const db = opened(client, cluster, { replicaFunctions: ['add_item'] })

    it('runs once more on the primary, takes effect once, counts, and is known from then on', async () => {
      const request = openRequest()
      // Each its own text: the pool remembers those that were refused.
      const add = () => db().run(`select add_item('${client.name}') as id`)
      const routes = await whereAndWhy(() =>
        request.run(async () => {
          expect(await add()).toHaveLength(1)
          expect(await add()).toHaveLength(1)
        }),
      )
      expect(routes).toEqual(['replica: read', 'primary: refused', 'primary: write'])
      expect(request.memory.wroteTo).toEqual(new Set(['default']))
      expect(await namesOnPrimary()).toEqual([client.name, client.name])
    })

    it('because it has not replayed a migration yet is read from the primary', async () => {
      const table = `fresh_${client.name.replace(/\W/g, '')}`
      await replica.pauseReplay()
      await cluster.primary.query(`create table ${table} as select 42 as answer`)
      expect(await inRequest(() => db().run(`select answer from ${table}`))).toEqual([{ answer: 42 }])
      await replica.resumeReplay()
    })

    it('and the primary, too, fails with the error of the primary', async () => {
      await expect(inRequest(() => db().run('select * from nowhere'))).rejects.toThrow(
        /nowhere|TableDoesNotExist/,
      )
      expect(await inRequest(() => db().run('select 1 as one'))).toEqual([{ one: 1 }])
    })
  })

  describe.each([
    ['primary', usePrimary, cluster.primary],
    ['replica', useReplica, replica],
  ])('a backend of the %s that is terminated', (role, scope, node) => {
    const db = opened(client, cluster)

    it('while it is idle is replaced', async () => {
      await scope(() => db().names())
      expect(await terminateClients(node)).toBeGreaterThan(0)
      expect(await scope(() => db().names())).toEqual([])
    })

    it(`while its ${role === 'primary' ? 'write runs fails it' : 'read runs leaves it to another node'}`, async () => {
      const text = role === 'primary' ? 'update item set name = pg_sleep(30)::text' : SLOW_READ
      await cluster.primary.query("insert into item (name) values ('lamp')")
      await cluster.waitForCatchup()
      const statement = scope(() => db().run(text))
      const outcome = role === 'primary' ? expect(statement).rejects.toThrow() : statement
      await terminateRunning(node, /pg_sleep/)
      await outcome
      expect(await namesOnPrimary()).toEqual(['lamp'])
      expect(await scope(() => db().names())).toEqual(['lamp'])
    })

    if (client.has.has('connection'))
      it('while it is lent costs its borrower no more than that', async () => {
        const pid = async (on: Pick<ReturnType<typeof db>, 'run'>) =>
          (await on.run('select pg_backend_pid() as pid'))[0]?.pid
        const before = await scope(() =>
          db().connection(async (on) => {
            const its = await pid(on)
            expect(await terminateClients(node)).toBeGreaterThan(0)
            return its
          }),
        )
        expect(await scope(() => pid(db()))).not.toBe(before)
      })
  })
})

contract((client) => {
  describe('a replica that', () => {
    afterEach(async () => {
      await replica.thaw().catch(() => undefined)
      await replica.start().catch(() => undefined)
      // What was frozen sleeps on.
      await terminateClients(replica)
      await cluster.waitForCatchup()
    })

    it.each([
      ['dies', () => replica.kill()],
      ['freezes', () => replica.freeze()],
    ])('%s in the middle of a read leaves it to the primary, and the reads after it', async (_how, fail) => {
      await using db = await openFit(client, cluster)
      const reading = inRequest(() => db.run(SLOW_READ))
      await running(replica, /pg_sleep/)
      await fail()
      expect(await reading).toMatchObject([{ answer: 42 }])
      expect(await inRequest(() => db.names())).toEqual([])
      await vi.waitFor(() => {
        const node = db.control.status().nodes.find(({ name }) => name === 'replica-1')
        expect(node).toMatchObject({ isFit: false })
      }, WAIT)
    })

    it('is the last one left serves reads while the primary is away, and writes are done once that is back', async () => {
      await using db = await openFit(client, cluster)
      await cluster.primary.stop('immediate')
      expect(await inRequest(() => db.names())).toEqual([])
      await expect(db.add('never')).rejects.toThrow()
      await cluster.primary.start()
      await vi.waitFor(() => {
        const [primary] = db.control.status().nodes
        expect(primary).toMatchObject({ health: 'up' })
      }, WAIT)
      await db.add('lamp')
      expect(await namesOnPrimary()).toEqual(['lamp'])
    })

    it('was away serves again once it is back', async () => {
      await using db = await openFit(client, cluster)
      await replica.kill()
      expect(await inRequest(() => db.names())).toEqual([])
      await replica.start()
      await vi.waitFor(async () => {
        const routes = await whereAndWhy(() => inRequest(() => db.names()))
        expect(routes).toEqual(['replica: read'])
      }, WAIT)
    })
  })
})
