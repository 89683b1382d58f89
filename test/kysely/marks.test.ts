import { CamelCasePlugin, sql } from 'kysely'
import { afterEach, beforeEach, describe, expect, expectTypeOf, test } from 'vitest'
import { orPrimary, toPrimary, toReplica } from 'write-pinning/kysely'
import { inRequest, whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

const { cluster, db } = useShop({ sql: "insert into item (name) values ('old')" })

beforeEach(() => cluster.replicas[0]?.pauseReplay())

afterEach(async () => {
  await cluster.replicas[0]?.resumeReplay()
  await cluster.waitForCatchup()
})

const items = () => db.selectFrom('item').select(['id', 'name'])

describe('toPrimary', () => {
  test('reads from the primary, built, raw and streamed', async () => {
    const routes = await whereAndWhyInRequest(async () => {
      await items().$call(toPrimary).execute()
      await toPrimary(sql`select 1`).execute(db)
      for await (const _row of items().$call(toPrimary).stream());
    })
    expect(routes).toEqual(['primary: mark', 'primary: mark', 'primary: mark'])
  })

  test('never survives into the query it was made of, nor into one that it is part of', async () => {
    const query = items()
    const marked = query.$call(toPrimary)
    const routes = await whereAndWhyInRequest(async () => {
      await marked.execute()
      await query.execute()
      await db.selectFrom(marked.as('part')).selectAll().execute()
    })
    expect(routes).toEqual(['primary: mark', 'replica: read', 'replica: read'])
  })

  test('holds with plugins of the application’s', async () => {
    const camel = db.withPlugin(new CamelCasePlugin())
    const routes = await whereAndWhyInRequest(() =>
      camel.selectFrom('item').selectAll().$call(toPrimary).execute(),
    )
    expect(routes).toEqual(['primary: mark'])
  })
})

describe('toReplica', () => {
  test('reads from a replica what a function keeps from it, also after a write', async () => {
    const routes = await whereAndWhyInRequest(async () => {
      await db.insertInto('item').values({ name: 'new' }).execute()
      await items().$call(toReplica).execute()
      await toReplica(sql`select setseed(0.5), clock_timestamp()`).execute(db)
    })
    expect(routes).toEqual(['primary: write', 'replica: mark', 'primary: session'])
  })

  test('sends no write to a replica', async () => {
    const routes = await whereAndWhyInRequest(async () => {
      await db.insertInto('item').values({ name: 'x' }).$call(toReplica).execute()
      await items().forUpdate().$call(toReplica).execute()
    })
    expect(routes).toEqual(['primary: write', 'primary: locking'])
  })
})

describe('orPrimary', () => {
  test('asks the primary where a replica gives no row, and only then', async () => {
    await cluster.primary.query("insert into session (sid, data) values ('fresh', 'x')")
    const session = db.selectFrom('session').selectAll().where('sid', '=', 'fresh').$call(orPrimary)
    const routes = await whereAndWhyInRequest(async () => {
      expect(await session.executeTakeFirst()).toEqual({ sid: 'fresh', data: 'x' })
      expect(await items().where('name', '=', 'old').$call(orPrimary).execute()).toHaveLength(1)
    })
    expect(routes).toEqual(['replica: read', 'primary: or-primary', 'replica: read'])
  })

  test('streams from the primary where a replica gives no row', async () => {
    await cluster.primary.query("insert into session (sid, data) values ('streamed', 'x')")
    const rows: unknown[] = []
    await inRequest(async () => {
      const query = db.selectFrom('session').selectAll().where('sid', '=', 'streamed').$call(orPrimary)
      for await (const row of query.stream()) rows.push(row)
    })
    expect(rows).toEqual([{ sid: 'streamed', data: 'x' }])
  })

  test('asks once where the context demands the primary anyway', async () => {
    const routes = await whereAndWhyInRequest(async () => {
      await db.insertInto('item').values({ name: 'y' }).execute()
      await items().where('id', '=', -1).$call(orPrimary).execute()
    })
    expect(routes).toEqual(['primary: write', 'primary: own-write'])
  })
})

test('marks keep the type of the query', () => {
  expectTypeOf(items().$call(orPrimary)).toEqualTypeOf(items())
  expectTypeOf(toPrimary(sql<{ n: number }>`select 1 as n`)).toEqualTypeOf(sql<{ n: number }>`select 1 as n`)
  const insert = db.insertInto('item').values({ name: 'x' })
  expectTypeOf(insert.$call(toPrimary)).toEqualTypeOf<typeof insert>()
  // @ts-expect-error not a query
  const wrong = () => toPrimary('select 1')
  expect(wrong).toThrow()
})
