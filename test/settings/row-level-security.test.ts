import { sql } from 'kysely'
import type pg from 'pg'
import { beforeEach, expect, test } from 'vitest'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { inRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// The recipes of docs/recipes/row-level-security.md.
const { cluster, atEnd, open } = useShop({
  sql: `create table note (tenant text, text text);
    insert into note values ('one', 'first of one'), ('two', 'first of two');
    alter table note enable row level security;
    create policy by_tenant on note using (tenant = nullif(current_setting('app.tenant', true), ''));
    create role service login;
    grant select, insert on note to service`,
})

let pool: PrimaryReplicaPool

beforeEach(async () => {
  pool = new PrimaryReplicaPool(nodes())
  atEnd(() => pool.end())
  await pool.ready()
  await expect.poll(() => pool.status().nodes.every(({ isFit }) => isFit)).toBe(true)
})

/** One session on each node, so that every tenant comes to what the one before has left. */
function nodes() {
  const [primary, ...replicas] = cluster.nodes.map(({ connectionString }) => {
    const url = new URL(connectionString)
    url.username = 'service'
    return { connectionString: url.href, max: 1 }
  })
  return { primary: primary as pg.PoolConfig, replicas }
}

const READ = 'select text from note order by text'
const SET = "select set_config('app.tenant', $1, false)"
const textsOf = async (on: Pick<pg.ClientBase, 'query'>) =>
  (await on.query(READ)).rows.map(({ text }) => text)

const RECIPES: Record<string, (tenant: string) => Promise<string[]>> = {
  async 'for one transaction'(tenant) {
    const client = await pool.connect()
    try {
      await client.query('begin read only')
      await client.query("select set_config('app.tenant', $1, true)", [tenant])
      const texts = await textsOf(client)
      await client.query('commit')
      return texts
    } finally {
      client.release()
    }
  },
  async 'for a client of `pool.connect()`'(tenant) {
    const client = await pool.connect()
    try {
      await client.query(SET, [tenant])
      return await textsOf(client)
    } finally {
      client.release()
    }
  },
  async 'for a client of `pool.driver`'(tenant) {
    const client = new pool.driver.Client()
    await client.connect()
    await client.query(SET, [tenant])
    const texts = await textsOf(client)
    await client.end()
    return texts
  },
  async 'for a connection of Kysely’s'(tenant) {
    const db = open(nodes())
    return await db.connection().execute(async (own) => {
      await sql`select set_config('app.tenant', ${tenant}, false)`.execute(own)
      const { rows } = await sql<{ text: string }>`select text from note order by text`.execute(own)
      return rows.map(({ text }) => text)
    })
  },
}

test.each(Object.entries(RECIPES))(
  'a tenant that is set %s reads its own rows on the replica',
  async (_for, read) => {
    const routes = await whereAndWhy(() =>
      inRequest(async () => {
        for (const tenant of ['one', 'two', 'one']) expect(await read(tenant)).toEqual([`first of ${tenant}`])
        expect(await read('')).toEqual([])
        // What has no client of its own has no tenant.
        expect(await textsOf(pool)).toEqual([])
      }),
    )
    expect(routes.filter((route) => !route.startsWith('replica'))).toEqual([])
  },
)

test('a tenant writes on the primary as itself, and nobody else’s rows', async () => {
  const client = await pool.connect()
  await client.query(SET, ['one'])
  await client.query("insert into note values ('one', 'second of one')")
  await expect(client.query("insert into note values ('two', 'second of two')")).rejects.toThrow('row-level')
  expect(await textsOf(client)).toEqual(['first of one', 'second of one'])
  client.release()
})
