import { sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { withoutPin } from 'write-pinning'
import { openRequest, type Request, routeAfter } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

const { cluster, db, read } = useShop({
  sql: [
    'create schema audit; create table audit.entry (note text)',
    'create table "Mixed" (id int); create table session_log (id int)',
  ],
  dialect: { unpinnedTables: ['session', 'audit.entry', 'Mixed'] },
})
let request: Request

beforeEach(() => {
  request = openRequest()
})

/** The route of a read after `fn`, in one request. */
const readAfter = (fn: () => unknown) => routeAfter(request, fn, read)

const OWN = 'primary: own-write'
const FREE = 'replica: read'

describe('writes to `unpinnedTables` alone do not count', () => {
  const uncounted: Record<string, () => Promise<unknown>> = {
    'by its name': () => db.insertInto('session').values({ sid: crypto.randomUUID(), data: '' }).execute(),
    'with an alias': () => db.updateTable('session as s').set({ data: 'touched' }).execute(),
    'with a schema, where the option has none': () =>
      db.withSchema('public').deleteFrom('session').where('sid', '=', '').execute(),
    'with the option’s schema': () => sql`insert into audit.entry values ('x')`.execute(db),
    'with the option’s schema, built': () =>
      db
        .withTables<{ 'audit.entry': { note: string } }>()
        .insertInto('audit.entry')
        .values({ note: 'x' })
        .execute(),
    'in a transaction': () =>
      db.transaction().execute((trx) => trx.updateTable('session').set({ data: 'touched' }).execute()),
    'in raw SQL': () => sql`insert into session values (${crypto.randomUUID()}, '')`.execute(db),
    'in raw SQL, upper case': () => sql`UPDATE ONLY SESSION SET data = ''`.execute(db),
    'in raw SQL, quoted': () => sql`delete from "public" . "session" where false`.execute(db),
    'in raw SQL, quoted and of mixed case': () => sql`insert into "Mixed" values (1)`.execute(db),
    'several, through a CTE': () =>
      db
        .withTables<{ 'audit.entry': { note: string } }>()
        .with('log', (qc) => qc.insertInto('audit.entry').values({ note: 'x' }).returning('note'))
        .updateTable('session')
        .set({ data: 'touched' })
        .execute(),
    'under withoutPin()': () => withoutPin(() => db.insertInto('item').values({ name: 'quiet' }).execute()),
    'of a transaction under withoutPin()': () =>
      withoutPin(() =>
        db.transaction().execute((trx) => trx.insertInto('item').values({ name: 'quiet' }).execute()),
      ),
  }
  for (const [name, write] of Object.entries(uncounted)) {
    test(name, async () => {
      expect(await readAfter(write)).toBe(FREE)
    })
  }

  const counted: Record<string, () => Promise<unknown>> = {
    'another table as well, through a CTE': () =>
      db
        .with('new', (qc) => qc.insertInto('item').values({ name: 'e' }).returning('id'))
        .updateTable('session')
        .set({ data: 'touched' })
        .execute(),
    'another table in the same transaction': () =>
      db.transaction().execute(async (trx) => {
        await trx.updateTable('session').set({ data: 'touched' }).execute()
        await trx.insertInto('item').values({ name: 'f' }).execute()
      }),
    'a table whose name only begins alike': () => sql`insert into session_log values (1)`.execute(db),
    'a table of another schema': () => sql`create table entry (note text)`.execute(db),
    'a table whose name differs by its case': async () => {
      await cluster.primary.query('create table if not exists mixed (id int)')
      await sql`insert into Mixed values (1)`.execute(db)
    },
    'a second statement in the same raw text': () =>
      sql`update session set data = ''; update item set name = name`.execute(db),
    'raw SQL that is not so plain': () =>
      sql`with x as (insert into item (name) values ('x')) update session set data = ''`.execute(db),
  }
  for (const [name, write] of Object.entries(counted)) {
    test(`but ${name} does`, async () => {
      expect(await readAfter(write)).toBe(OWN)
    })
  }
})
