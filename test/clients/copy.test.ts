import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import type pg from 'pg'
import { from, to } from 'pg-copy-streams'
import { describe, expect, it } from 'vitest'
import { inRequest, openRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { contract, opened, startCluster, terminateRunning } from './contract.ts'

const cluster = await startCluster()

contract((client) => {
  const db = opened(client, cluster)

  describe('COPY', () => {
    it('from the client writes on the primary, and counts', async () => {
      const request = openRequest()
      const routes = await whereAndWhy(() =>
        request.run(() =>
          db().lend(async (lent) => {
            await lent.query('select 1')
            const copy = lent.query(from('copy item (name) from stdin'))
            await pipeline(Readable.from(['lamp\n', 'chair\n']), copy)
            expect(copy.rowCount).toBe(2)
            expect((await lent.query('select name from item order by id')).rows).toHaveLength(2)
          }),
        ),
      )
      expect(routes).toEqual(['replica: read', 'primary: write', 'primary: own-write'])
      expect(request.memory.wroteTo).toEqual(new Set(['default']))
      expect(await cluster.primary.query('select name from item order by id')).toEqual([
        { name: 'lamp' },
        { name: 'chair' },
      ])
    })

    it('to the client gives every row, of what was just written, too', async () => {
      await inRequest(() =>
        db().lend(async (lent) => {
          await lent.query("insert into item (name) select 'item ' || n from generate_series(1, 20000) as n")
          const rows = await text(lent.query(to('copy item (name) to stdout')))
          expect(rows.trimEnd().split('\n')).toHaveLength(20_000)
          expect((await lent.query('select 1 as one')).rows).toEqual([{ one: 1 }])
        }),
      )
    })

    it('in a transaction that is rolled back leaves nothing', async () => {
      await inRequest(() =>
        db().lend(async (lent) => {
          await lent.query('begin')
          await pipeline(Readable.from(['never\n']), lent.query(from('copy item (name) from stdin')))
          await lent.query('rollback')
        }),
      )
      expect(await db().names()).toEqual([])
    })

    it.each([
      ['TO', async (lent: pg.PoolClient) => await text(lent.query(to(MANY)))],
      [
        'FROM',
        async (lent: pg.PoolClient) =>
          await pipeline(endless(), lent.query(from('copy item (name) from stdin'))),
      ],
    ])('%s the client whose connection is lost fails, and the next one is served', async (_way, copy) => {
      await inRequest(async () => {
        const copying = db().lend(async (lent) => {
          lent.on('error', () => {})
          await copy(lent)
        })
        const failed = expect(copying).rejects.toThrow()
        await terminateRunning(cluster.primary, /^copy/)
        await failed
        expect(await db().lend((lent) => text(lent.query(to('copy item (name) to stdout'))))).toBe('')
      })
    })

    it('that the server refuses fails with its error, and the connection serves on', async () => {
      await inRequest(() =>
        db().lend(async (lent) => {
          const copy = lent.query(from('copy item (id, name) from stdin'))
          await expect(pipeline(Readable.from(['no number\tlamp\n']), copy)).rejects.toMatchObject({
            code: '22P02',
          })
          expect((await lent.query('select 1 as one')).rows).toEqual([{ one: 1 }])
        }),
      )
    })
  })
}, 'lend')

// It ends with its connection, or never.
const MANY = 'copy (select n, pg_sleep(0.01) from generate_series(1, 10000) as n) to stdout'

async function* endless(): AsyncGenerator<string> {
  for (;;) {
    yield 'never\n'
    await new Promise(setImmediate)
  }
}
