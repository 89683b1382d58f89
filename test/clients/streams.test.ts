import Cursor from 'pg-cursor'
import { describe, expect, it } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { inRequest, openRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { terminateClients } from '../support/server-clients.ts'
import { contract, opened, startCluster, terminateRunning } from './contract.ts'

const cluster = await startCluster()
const replica = cluster.replicas[0] as PostgresNode

const NUMBERS = 'select n from generate_series(1, 10) as n'
const all = Array.from({ length: 10 }, (_, at) => ({ n: at + 1 }))
// More than fits into the buffers on the way.
const MANY = "select n, repeat('x', 1000) as filler from generate_series(1, 100000) as n"

await cluster.primary.query(`
  create function add_item(text) returns int language sql volatile as
    $$ insert into item (name) values ($1) returning id $$`)

contract((client) => {
  // The classifier is told wrong, so that it takes a write for a read.
  const db = opened(client, cluster, { replicaFunctions: ['add_item'] })

  const read = async (text: string, enough = Number.POSITIVE_INFINITY) => {
    const rows: unknown[] = []
    for await (const row of db().stream(text)) {
      rows.push(row)
      if (rows.length === enough) break
    }
    return rows
  }

  describe('a stream', () => {
    it('gives every row of a replica, or of the primary under a pin', async () => {
      const pinned = openRequest({ pinnedUntilMs: Date.now() + 60_000 })
      const routes = await whereAndWhy(async () => {
        expect(await inRequest(() => read(NUMBERS))).toEqual(all)
        expect(await pinned.run(() => read(NUMBERS))).toEqual(all)
      })
      expect(routes).toEqual(['replica: read', 'primary: pin'])
    })

    it('that is left early gives its connection back, again and again', async () => {
      for (const scope of [useReplica, usePrimary]) {
        for (const _ of Array.from({ length: 12 })) expect(await scope(() => read(MANY, 3))).toHaveLength(3)
      }
    })

    it('whose query fails half-way fails with that, and its connection serves on', async () => {
      for (const scope of [useReplica, usePrimary]) {
        const broken = 'select 1 / (4 - n) as x from generate_series(1, 10) as n'
        await expect(scope(() => read(broken))).rejects.toThrow('division by zero')
        expect(await scope(() => read(NUMBERS))).toEqual(all)
      }
    })

    it('of `insert … returning` writes on the primary, and counts', async () => {
      const request = openRequest()
      const insert = "insert into item (name) values ('a'), ('b'), ('c') returning name"
      const routes = await whereAndWhy(async () => {
        expect(await request.run(() => read(insert))).toEqual([{ name: 'a' }, { name: 'b' }, { name: 'c' }])
      })
      expect(routes).toEqual(['primary: write'])
      expect(request.memory.wroteTo).toEqual(new Set(['default']))
    })

    it('that a replica refuses comes from the primary, and takes effect once', async () => {
      const request = openRequest()
      const routes = await whereAndWhy(async () => {
        expect(await request.run(() => read(`select add_item('${client.name}') as id`))).toHaveLength(1)
      })
      expect(routes).toEqual(['replica: read', 'primary: refused'])
      expect(request.memory.wroteTo).toEqual(new Set(['default']))
      expect(await cluster.primary.query('select name from item')).toEqual([{ name: client.name }])
    })

    it('whose backend is terminated before the first row comes from another node', async () => {
      // Only a hot standby sleeps: on the primary it is over at once.
      const slow = 'select pg_sleep(case when pg_is_in_recovery() then 30 else 0 end)::text, 42 as answer'
      const reading = inRequest(() => read(slow))
      await terminateRunning(replica, /pg_sleep/)
      expect(await reading).toMatchObject([{ answer: 42 }])
    })

    it.each([
      ['a replica', useReplica, replica],
      ['the primary', usePrimary, cluster.primary],
    ])(
      'from %s whose backend is terminated fails, and the next one is served',
      async (_node, scope, node) => {
        const reading = scope(async () => {
          let seen = 0
          for await (const _row of db().stream(MANY)) if (seen++ === 0) await terminateClients(node)
        })
        await expect(reading).rejects.toThrow()
        expect(await scope(() => read(NUMBERS))).toEqual(all)
      },
    )
  })
}, 'stream')

contract((client) => {
  const db = opened(client, cluster)

  describe('a cursor', () => {
    it('is read in parts, and closed before its end; statements after it wait for that', async () => {
      const routes = await whereAndWhy(() =>
        inRequest(() =>
          db().lend(async (lent) => {
            const cursor = lent.query(new Cursor(NUMBERS))
            expect(await cursor.read(4)).toEqual(all.slice(0, 4))
            expect(await cursor.read(4)).toEqual(all.slice(4, 8))
            await cursor.close()
            expect((await lent.query('select 1 as one')).rows).toEqual([{ one: 1 }])
            await lent.query("insert into item (name) values ('after the cursor')")
          }),
        ),
      )
      expect(routes).toEqual(['replica: read', 'replica: read', 'primary: write'])
    })

    it('queues what is asked meanwhile: a write moves the connection only once the cursor is closed', async () => {
      await inRequest(() =>
        db().lend(async (lent) => {
          const cursor = lent.query(new Cursor(NUMBERS))
          const first = await cursor.read(4)
          const written = lent.query("insert into item (name) values ('queued') returning name")
          const second = await cursor.read(100)
          await cursor.close()
          expect([...first, ...second]).toEqual(all)
          expect((await written).rows).toEqual([{ name: 'queued' }])
        }),
      )
    })
  })
}, 'lend')
