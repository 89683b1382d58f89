import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { inRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// Kysely's plugin for schemas makes some table nodes in another shape, over which the walk through them stumbled.
const shop = useShop({ dialect: { primaryTables: ['session'] } })
const db = shop.db.withSchema('public')

test('`for update of` under withSchema() is a locking read', async () => {
  const lock = () => db.selectFrom('item').selectAll().forUpdate('item').execute()
  expect(await whereAndWhy(() => inRequest(lock))).toEqual(['primary: locking'])
})

test('a whole row as an argument of a function under withSchema() is read from a replica', async () => {
  const read = () =>
    db
      .selectFrom('item')
      .select((eb) => eb.fn.jsonAgg('item').as('items'))
      .execute()
  expect(await whereAndWhy(() => inRequest(read))).toEqual(['replica: read'])
})

test('and from the primary where its table is one of `primaryTables`', async () => {
  const read = () =>
    db
      .selectFrom(sql<{ sid: string }>`session`.as('s'))
      .innerJoin('session', 'session.sid', 's.sid')
      .select((eb) => eb.fn.toJson('session').as('it'))
      .execute()
  expect(await whereAndWhy(() => inRequest(read))).toEqual(['primary: primary-table'])
})
