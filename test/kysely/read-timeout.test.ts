import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { usePrimary } from 'write-pinning'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { codeOf } from '../support/warnings.ts'

const { db } = useShop({
  sql: "insert into item (name) select 'item ' || n from generate_series(1, 5) n",
  dialect: { readTimeoutMs: 200 },
})

const sleep = (seconds: number) => sql`select pg_sleep(${seconds})`.execute(db)

test('a read that takes longer is given up, on whatever node it is', async () => {
  expect(await codeOf(() => inRequest(() => sleep(30)))).toBe('ERR_WRITE_PINNING_READ_TIMEOUT')
  expect(await codeOf(() => usePrimary(() => sleep(30)))).toBe('ERR_WRITE_PINNING_READ_TIMEOUT')
})

test('its client is not given to the next one', async () => {
  await inRequest(() => sleep(30)).catch(() => {})
  const items = await inRequest(() => db.selectFrom('item').selectAll().execute())
  expect(items).toHaveLength(5)
})

test('a stream may take as long as it likes in all, and so long for each of its reads', async () => {
  const rows: unknown[] = []
  await inRequest(async () => {
    const stream = db
      .selectFrom('item')
      .select(['id', sql`pg_sleep(0.06)`.as('slept')])
      .stream(1)
    for await (const row of stream) rows.push(row)
  })
  expect(rows).toHaveLength(5)
  const stuck = inRequest(async () => {
    for await (const _ of db.selectFrom('item').select(sql`pg_sleep(30)`.as('slept')).stream(1));
  })
  expect(await codeOf(() => stuck)).toBe('ERR_WRITE_PINNING_READ_TIMEOUT')
})

test('writes and transactions are not bounded by it', async () => {
  await db.transaction().execute((trx) => sql`select pg_sleep(0.4)`.execute(trx))
  await db.updateTable('item').set({ name: sql<string>`name || pg_sleep(0.4)` }).where('id', '=', 1).execute()
})
