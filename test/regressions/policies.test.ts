import { type Kysely, sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { type Database, openDatabase } from '../support/cluster.ts'
import { inRequest, whenCatalogIsRead, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { messagesOf } from '../support/warnings.ts'

// A policy calls its function at each reading of its table, and functions are volatile unless they are declared otherwise.
const { cluster } = useShop({
  sql: `
    create schema app;
    create function app.tenant() returns int language sql as $$ select 1 $$;
    create function checks(int) returns boolean language sql as $$ select true $$;
    create table invoice (id int, tenant int);
    alter table invoice enable row level security;
    create policy of_tenant on invoice using (tenant = app.tenant());
    create view unpaid as select * from invoice;
    create view plain_call as select app.tenant() as tenant;
    create table checked (id int);
    alter table checked enable row level security;
    create policy when_read on checked for select using (id > 0);
    create policy when_written on checked for insert with check (checks(id));
    create table both_ways (id int);
    alter table both_ways enable row level security;
    create policy both_ways on both_ways using (id > 0) with check (checks(id));
    create table disabled (id int);
    create policy disabled on disabled using (checks(id));
    create table app.item (id int);
    alter table app.item enable row level security;
    create policy item on app.item using (checks(id))`,
})

/** What is warned of when a text was sent 50 times. */
async function warningsOf(text: string, on: Kysely<Database>): Promise<string[]> {
  return await messagesOf(async () => {
    for (let sent = 0; sent < 50; sent++) await inRequest(() => sql.raw(`${text} -- ${sent}`).execute(on))
  })
}

describe('a policy that keeps sending the reads of a table to the primary is warned of once', () => {
  test('with the table, the policy and the function', async () => {
    const db = openDatabase(cluster)
    await whenCatalogIsRead(db)
    const [message, ...others] = await warningsOf('select * from public.invoice', db)
    expect(others).toEqual([])
    for (const part of ['public.invoice', 'of_tenant', 'app.tenant()', 'replicaFunctions', 'stable']) {
      expect(message).toContain(part)
    }
    await db.destroy()
  })

  test('with the view and the table behind it', async () => {
    const db = openDatabase(cluster)
    await whenCatalogIsRead(db)
    const [message] = await warningsOf('select * from unpaid', db)
    for (const part of ['unpaid', 'public.invoice', 'of_tenant', 'app.tenant()'])
      expect(message).toContain(part)
    const [direct] = await warningsOf('select * from plain_call', db)
    expect(direct).toMatch(/plain_call .* app\.tenant\(\)/)
    expect(direct).not.toContain('policy')
    await db.destroy()
  })

  test('and the option that the warning names sends them to the replicas', async () => {
    const db = openDatabase(cluster, { replicaFunctions: ['app.tenant'] })
    await whenCatalogIsRead(db)
    for (const name of ['invoice', 'unpaid', 'plain_call']) {
      const read = () => sql`select * from ${sql.table(name)}`.execute(db)
      expect(await whereAndWhyInRequest(read), name).toEqual(['replica: read'])
    }
    await db.destroy()
  })
})

test('a policy keeps no read from the replicas that calls its function at writes only, or is not enabled', async () => {
  const db = openDatabase(cluster)
  await whenCatalogIsRead(db)
  for (const name of ['checked', 'both_ways', 'disabled']) {
    const read = () => sql`select * from ${sql.table(name)}`.execute(db)
    expect(await whereAndWhyInRequest(read), name).toEqual(['replica: read'])
  }
  await db.destroy()
})

test('a table in one schema is not kept from the replicas by a table of that name in another', async () => {
  const db = openDatabase(cluster)
  await whenCatalogIsRead(db)
  const routes = (text: string) => whereAndWhyInRequest(() => sql.raw(text).execute(db))
  expect(await routes('select * from public.item')).toEqual(['replica: read'])
  expect(await routes('select i.id from public.item i where i.id = 1')).toEqual(['replica: read'])
  expect(await routes('select * from app.item')).toEqual(['primary: function'])
  expect(await routes('select * from item')).toEqual(['primary: function'])
  await db.destroy()
})
