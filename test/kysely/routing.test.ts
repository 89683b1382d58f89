import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { postgresVersion } from '../support/postgres-version.ts'
import { inRequest } from '../support/request.ts'
import { routesOf, whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

const { cluster, db } = useShop({
  replicas: 2,
  sql: ['create schema audit', 'create table audit.entry (id int primary key, note text)'],
  dialect: { primaryTables: ['session', 'audit.entry'] },
})

const whereAndWhyInRequest = (fn: () => unknown) => whereAndWhy(() => inRequest(fn))

describe('a built select', () => {
  const reads: Record<string, () => Promise<unknown>> = {
    'of one table': () => db.selectFrom('item').selectAll().execute(),
    'with a join': () =>
      db.selectFrom('item as a').innerJoin('item as b', 'a.id', 'b.id').select('a.id').execute(),
    'with a lateral join': () =>
      db
        .selectFrom('item as a')
        .innerJoinLateral(
          (eb) => eb.selectFrom('item as b').whereRef('a.id', '=', 'b.id').select('b.id').as('c'),
          (join) => join.onTrue(),
        )
        .select('c.id')
        .execute(),
    'with a subquery': () =>
      db
        .selectFrom((eb) => eb.selectFrom('item').selectAll().as('i'))
        .where('i.id', 'in', (eb) => eb.selectFrom('item').select('item.id'))
        .selectAll()
        .execute(),
    'with a CTE': () =>
      db
        .with('i', (qc) => qc.selectFrom('item').selectAll())
        .selectFrom('i')
        .selectAll()
        .execute(),
    'with a raw CTE that reads': () =>
      db
        .with('i', () => sql<{ id: number }>`(select 1 as id)`)
        .selectFrom('i')
        .selectAll()
        .execute(),
    'with a recursive CTE': () =>
      db
        .withRecursive('n(i)', (qc) =>
          qc
            .selectNoFrom(sql<number>`1`.as('i'))
            .unionAll(qc.selectFrom('n').where('n.i', '<', 3).select(sql<number>`n.i + 1`.as('i'))),
        )
        .selectFrom('n')
        .selectAll()
        .execute(),
    'with set operations': () =>
      db
        .selectFrom('item')
        .select('id')
        .union(db.selectFrom('item').select('id').intersect(db.selectFrom('item').select('id')))
        .execute(),
    'without a table': () => db.selectNoFrom(sql<number>`1`.as('one')).execute(),
    'that is explained': () => db.selectFrom('item').selectAll().explain(),
    'with distinct': () => db.selectFrom('item').select('name').distinct().execute(),
    'with a value that looks like a node': () =>
      db
        .selectFrom('item')
        .where(sql<string>`${JSON.stringify({ kind: 'InsertQueryNode' })}`, '=', 'x')
        .selectAll()
        .execute(),
  }
  for (const [name, run] of Object.entries(reads)) {
    test(`${name} reads from a replica`, async () => {
      expect(await whereAndWhyInRequest(run)).toEqual(['replica: read'])
    })
  }

  test('is answered by the server that its route names', async () => {
    let port: number | undefined
    const [route] = await routesOf(() =>
      inRequest(async () => {
        const row = await db
          .selectNoFrom(sql<number>`inet_server_port()`.as('port'))
          .executeTakeFirstOrThrow()
        port = row.port
      }),
    )
    expect(cluster.replicas.find((each) => each.name === route?.node)?.port).toBe(port)
  })
})

describe('a locking read', () => {
  const locking: Record<string, () => Promise<unknown>> = {
    'for update': () => db.selectFrom('item').selectAll().forUpdate().execute(),
    'for no key update': () => db.selectFrom('item').selectAll().forNoKeyUpdate().execute(),
    'for share': () => db.selectFrom('item').selectAll().forShare().execute(),
    'for key share': () => db.selectFrom('item').selectAll().forKeyShare().execute(),
    'for update skip locked': () => db.selectFrom('item').selectAll().forUpdate().skipLocked().execute(),
    'in a subquery': () =>
      db
        .selectFrom((eb) => eb.selectFrom('item').selectAll().forUpdate().as('i'))
        .selectAll()
        .execute(),
    'in a CTE of a CTE': () =>
      db
        .with('outer', (qc) =>
          qc
            .with('inner', (inner) => inner.selectFrom('item').selectAll().forShare())
            .selectFrom('inner')
            .selectAll(),
        )
        .selectFrom('outer')
        .selectAll()
        .execute(),
    'by a raw modifier': () => db.selectFrom('item').selectAll().modifyEnd(sql`for update`).execute(),
  }
  for (const [name, run] of Object.entries(locking)) {
    test(`${name} goes to the primary, and pins nobody`, async () => {
      const [route] = await routesOf(() => inRequest(run))
      expect(route).toMatchObject({ role: 'primary', reason: 'locking', write: false })
    })
  }
})

describe('a write', () => {
  const writes: Record<string, () => Promise<unknown>> = {
    insert: () => db.insertInto('item').values({ name: 'a' }).execute(),
    'insert … returning': () => db.insertInto('item').values({ name: 'a' }).returningAll().execute(),
    'insert … select': () =>
      db
        .insertInto('item')
        .columns(['name'])
        .expression(db.selectFrom('item').select('name').limit(1))
        .execute(),
    update: () => db.updateTable('item').set({ name: 'b' }).where('id', '=', 1).execute(),
    delete: () => db.deleteFrom('item').where('id', '=', 1).execute(),
    ...(postgresVersion >= 15 && {
      merge: () =>
        db
          .mergeInto('item')
          .using('item as other', 'item.id', 'other.id')
          .whenMatched()
          .thenDoNothing()
          .execute(),
    }),
    'an explained insert that is run': () =>
      db.insertInto('item').values({ name: 'a' }).explain('json', sql`analyze`),
    'a CTE that writes': () =>
      db
        .with('new', (qc) => qc.insertInto('item').values({ name: 'c' }).returning('id'))
        .selectFrom('new')
        .selectAll()
        .execute(),
    'a CTE that deletes, under a set operation': () =>
      db
        .with('gone', (qc) => qc.deleteFrom('item').where('id', '=', 0).returning('id'))
        .selectFrom('gone')
        .select('id')
        .union(db.selectFrom('item').select('id'))
        .execute(),
    'a raw CTE that writes': () =>
      db
        .with('new', () => sql<{ id: number }>`(insert into item (name) values ('d') returning id)`)
        .selectFrom('new')
        .selectAll()
        .execute(),
    'a raw CTE behind a comment': () =>
      db
        .with(
          'new',
          () => sql<{ id: number }>`(/* select */ insert into item (name) values ('d') returning id)`,
        )
        .selectFrom('new')
        .selectAll()
        .execute(),
    'create table': () => db.schema.createTable('scratch').addColumn('id', 'integer').execute(),
    'create index': () => db.schema.createIndex('scratch_id').on('scratch').column('id').execute(),
    'drop table': () => db.schema.dropTable('scratch').execute(),
    'raw insert': () => sql`insert into item (name) values ('raw')`.execute(db),
    'raw with that writes': () =>
      sql`with i as (insert into item (name) values ('raw') returning id) select * from i`.execute(db),
    'raw do': () => sql`do $$ begin end $$`.execute(db),
  }
  for (const [name, run] of Object.entries(writes)) {
    test(`(${name}) goes to the primary`, async () => {
      expect(await whereAndWhyInRequest(run)).toEqual(['primary: write'])
    })
  }
})

describe('raw SQL', () => {
  for (const text of [
    'select 1',
    '  SELECT 1',
    '(select 1)',
    'values (1)',
    'table item',
    'show server_version',
  ]) {
    test(`that begins like \`${text}\` reads from a replica`, async () => {
      expect(await whereAndWhyInRequest(() => sql.raw(text).execute(db))).toEqual(['replica: read'])
    })
  }
})

describe('a table of `primaryTables`', () => {
  const reads: Record<string, () => Promise<unknown>> = {
    'by its name': () => db.selectFrom('session').selectAll().execute(),
    'by its alias': () => db.selectFrom('session as s').select('s.sid').execute(),
    'in a join': () => db.selectFrom('item').innerJoin('session', 'sid', 'name').select('item.id').execute(),
    'in a subquery': () =>
      db
        .selectFrom('item')
        .where('name', 'in', (eb) => eb.selectFrom('session').select('sid'))
        .selectAll()
        .execute(),
    'with a schema before it': () => db.withSchema('public').selectFrom('session').selectAll().execute(),
    'with its schema': () => sql`select * from audit.entry`.execute(db),
    'in raw SQL, upper case': () => sql`select * from SESSION`.execute(db),
    'in raw SQL, quoted': () => sql`select * from "public"."session"`.execute(db),
  }
  for (const [name, run] of Object.entries(reads)) {
    test(`(${name}) is read from the primary`, async () => {
      expect(await whereAndWhyInRequest(run)).toEqual(['primary: primary-table'])
    })
  }

  test('of another schema may be read from a replica', async () => {
    await cluster.primary.query('create table entry (id int)')
    await cluster.waitForCatchup()
    const read = () => sql`select * from public.entry`.execute(db)
    expect(await whereAndWhyInRequest(read)).toEqual(['replica: read'])
  })
})
