import { fastify } from 'fastify'
import { type Kysely, sql } from 'kysely'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { capturePin, runWithPin, useReplica, withoutPin } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import type { Database } from '../support/cluster.ts'
import type { UserAgent } from '../support/http.ts'
import { postgresVersion } from '../support/postgres-version.ts'
import { whenCatalogIsRead } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// What an attempt to write was told by the primary must not be newer than what its request reads next.
interface Tables extends Database {
  task: { id: number; state: string; version: number }
}

const { cluster, open, listen } = useShop({
  sql: `create table task (id int primary key, state text not null default 'pending' check (state <> ''), version int not null default 1);
     insert into task (id) values (1), (2)`,
})
let db: Kysely<Tables>
let openAgent: () => UserAgent

beforeAll(async () => {
  const opened = open({ unpinnedTables: ['session'] })
  // What it knows of the replica, and of its tables, it knows from before.
  await whenCatalogIsRead(opened)
  db = opened as unknown as Kysely<Tables>
  await cluster.replicas[0]?.pauseReplay()
  await cluster.primary.query("update task set version = 2, state = 'taken'")
  const app = fastify()
  await app.register(writePinning, { pinOn: 'write' })
  app.get('/state/:attempt', async (request) => {
    const { attempt } = request.params as { attempt: string }
    await attempts[attempt]?.()
    return { state: await state() }
  })
  app.get('/version', async () => {
    const tries: number[][] = []
    for (let count = 0; count < 3; count++) {
      const { version } = await db
        .selectFrom('task')
        .select('version')
        .where('id', '=', 1)
        .executeTakeFirstOrThrow()
      const { numUpdatedRows } = await db
        .updateTable('task')
        .set({ version: version + 1 })
        .where('id', '=', 1)
        .where('version', '=', version)
        .executeTakeFirst()
      tries.push([version, Number(numUpdatedRows)])
      if (numUpdatedRows > 0n) break
    }
    return tries
  })
  openAgent = await listen(app)
})

beforeEach(() => cluster.primary.query('update task set version = 2'))

const state = async () =>
  (await db.selectFrom('task').select('state').where('id', '=', 1).executeTakeFirst())?.state
const claim = (on = db) =>
  on.updateTable('task').set({ state: 'mine' }).where('id', '=', 1).where('state', '=', 'pending').execute()
const fails = async (doing: Promise<unknown>) => {
  await doing.then(
    () => expect.unreachable(),
    () => {},
  )
}
const attempts: Record<string, () => Promise<unknown>> = {
  none: async () => {},
  claim: () => claim(),
  'claim-in-transaction': () => db.transaction().execute((trx) => claim(trx)),
  constraint: () => fails(db.insertInto('task').values({ id: 1, state: 'x', version: 1 }).execute()),
  check: () => fails(db.updateTable('task').set({ state: '' }).execute()),
  'rolled-back': () =>
    fails(
      db.transaction().execute(async (trx) => {
        await trx.updateTable('task').set({ version: 9 }).execute()
        throw new Error('no')
      }),
    ),
  ...(postgresVersion >= 15 && {
    merge: () => sql`merge into task using (select 1) as one on id = -1 when matched then delete`.execute(db),
  }),
  stream: async () => {
    for await (const _ of db.deleteFrom('task').where('id', '=', -1).returning('id').stream());
  },
  'several-texts': () => sql`delete from task where id = -1; delete from task where id = -2`.execute(db),
  prepared: () =>
    db.connection().execute(async (on) => {
      await sql`prepare claim as update task set state = 'mine' where state = 'pending'`.execute(on)
      await sql`execute claim`.execute(on)
      await sql`deallocate claim`.execute(on)
    }),
  'without-pin': () => withoutPin(() => claim()),
  unpinned: () => db.deleteFrom('session').where('sid', '=', 'x').execute(),
}

describe('after an attempt to write, the request reads what the primary has', () => {
  for (const attempt of Object.keys(attempts).slice(1, -2)) {
    test(attempt, async () => {
      const agent = openAgent()
      const answer = await agent.get(`/state/${attempt}`)
      expect(answer.json()).toMatchObject({ state: 'taken' })
      // Several statements in one text tell nothing of what they did, so they count.
      if (attempt === 'several-texts' || attempt === 'stream') return
      expect(await agent.pin()).toBeUndefined()
      expect((await agent.get('/state/none')).json()).toMatchObject({ state: 'pending' })
    })
  }

  test('so an optimistic lock finds the version that is there', async () => {
    expect((await openAgent().get('/version')).json()).toEqual([
      [1, 0],
      [2, 1],
    ])
  })

  test('in a job, too, whose pin is of nothing', async () => {
    await runWithPin(undefined, async () => {
      expect(await state()).toBe('pending')
      await claim()
      expect(await state()).toBe('taken')
      expect(await useReplica(state)).toBe('pending')
      expect(await capturePin()).toBeUndefined()
    })
  })
})

test('what pins nobody by the application’s own word does not send its reads to the primary', async () => {
  for (const attempt of ['without-pin', 'unpinned']) {
    expect((await openAgent().get(`/state/${attempt}`)).json(), attempt).toMatchObject({ state: 'pending' })
  }
})
