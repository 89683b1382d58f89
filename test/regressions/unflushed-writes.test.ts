import { type Kysely, sql } from 'kysely'
import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { parseLsn } from '../../src/lsn.ts'
import type { Database } from '../support/cluster.ts'
import { type ExactShop, heldBy, pinOfAgent } from '../support/exact.ts'
import { useShop } from '../support/shop.ts'

// What a write runs may set how its session commits: a trigger, a default, a function that it calls. Its text does not say so, and here no
// word of a function's does, so that the session goes on.
const HIDDEN = `execute 'select set_co' || 'nfig(''synchronous_commit'', ''off'', false)'`
const { cluster, open, serveShop } = useShop({
  sql: `
    create function relax(name text) returns text language plpgsql as
      $$ begin ${HIDDEN}; return name; end $$;
    create function relax() returns trigger language plpgsql as
      $$ begin ${HIDDEN}; return new; end $$;
    create table triggered (name text);
    create trigger relax before insert or update on triggered for each row execute function relax();
    create table defaulted (name text, other text default relax('x'))`,
})
let db: Kysely<Database>
let shop: ExactShop
let queries = 0

/** Counts what is sent on the sessions of the application; the package's own connections have a name. */
class CountingClient extends pg.Client {
  readonly #isOwn: boolean

  constructor(config: pg.ClientConfig = {}) {
    super(config)
    this.#isOwn = config.application_name === 'write-pinning'
  }

  // biome-ignore lint/suspicious/noExplicitAny: it has many signatures.
  override query(...args: any[]): any {
    if (!this.#isOwn) queries++
    return super.query(...(args as Parameters<pg.Client['query']>))
  }
}

beforeAll(async () => {
  const { host, port } = cluster.primary
  const config = { host, port, user: 'postgres', database: 'test', max: 1, Client: CountingClient }
  db = open({ primary: new pg.Pool(config as pg.PoolConfig) })
  shop = await serveShop(db, {}, async (routes) => {
    routes.post<{ Params: { work: string } }>('/do/:work', async ({ params }) => ({
      lsn: ((await works[params.work]?.()) as { lsn?: string } | undefined)?.lsn,
    }))
  })
})

beforeEach(() => sql`reset synchronous_commit`.execute(db))

// Where the server was when the row was written, which is before its commit.
const lsn = sql<string>`pg_current_wal_insert_lsn()::text`
const insert = (on: Kysely<Database>) =>
  on.insertInto('item').values({ name: 'x' }).returning(lsn.as('lsn')).executeTakeFirst()

const works: Record<string, () => Promise<unknown>> = {
  'an insert': () => insert(db),
  'a transaction': () => db.transaction().execute(insert),
  'an insert that calls a function': () => sql`insert into item (name) select relax('x')`.execute(db),
  'an insert with a trigger': () => sql`insert into triggered values ('x')`.execute(db),
  'an insert with a default that sets it': () => sql`insert into defaulted (name) values ('x')`.execute(db),
  'a transaction with a trigger': () =>
    db.transaction().execute((trx) => sql`insert into triggered values ('x')`.execute(trx)),
  'an update that calls a function': async () => {
    await insert(db)
    await sql`update item set name = relax(name)`.execute(db)
  },
  'a transaction that takes a setting back': async () => {
    const trx = await db.startTransaction().execute()
    const row = await insert(trx)
    const inner = await trx.savepoint('here').execute()
    await sql`set local synchronous_commit = on`.execute(inner)
    await insert(inner)
    await inner.rollbackToSavepoint('here').execute()
    await trx.commit().execute()
    return row
  },
}

/** Does this for a new user agent: what its pin holds, and where the server was when its row was written. */
async function heldAfter(work: string) {
  const agent = shop.openAgent()
  const answer = await agent.post(`/do/${encodeURIComponent(work)}`)
  expect(answer.status, answer.body).toBe(200)
  return { held: heldBy(await pinOfAgent(agent)), written: parseLsn(answer.json().lsn) }
}

async function expectPinsBehindWrites(work: string) {
  for (let round = 0; round < 20; round++) {
    const { held, written } = await heldAfter(work)
    expect(held).toEqual(expect.any(BigInt))
    expect(held as bigint).toBeGreaterThan(written as bigint)
  }
}

describe.each([
  'an insert that calls a function',
  'an insert with a trigger',
  'an insert with a default that sets it',
  'an update that calls a function',
  'a transaction with a trigger',
])('after %s, which has the session commit asynchronously, pins are behind what they are for:', (work) => {
  test.each(['an insert', 'a transaction'])('%s', async (next) => {
    await heldAfter('an insert')
    await heldAfter(next)
    await heldAfter(work)
    const [row] = (await sql`show synchronous_commit`.execute(db)).rows
    expect(row).toEqual({ synchronous_commit: 'off' })
    // A read does not tell what was set before.
    await heldAfter(work)
    await expectPinsBehindWrites(next)
  })
})

test('what is set, and taken back by a rollback to a savepoint, does not hold for the commit', async () => {
  await sql`set synchronous_commit = off`.execute(db)
  await expectPinsBehindWrites('a transaction that takes a setting back')
})

test('how a session commits is asked in the message of the write, and costs no round trip', async () => {
  queries = 0
  for (const work of ['an insert', 'an insert with a trigger', 'an insert']) await heldAfter(work)
  expect(queries).toBe(3)
  queries = 0
  await heldAfter('a transaction')
  expect(queries).toBe(3)
})
