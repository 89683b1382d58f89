import { sql } from 'kysely'
import { beforeAll, describe, expect, test } from 'vitest'
import { openRequest, whenCatalogIsRead } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Texts of many values are too long to be kept: what a replica's refusal tells of one has to hold while that is run once more.
const { cluster, db } = useShop({ sql: 'create view shown as select id, name from item' })

beforeAll(async () => {
  await whenCatalogIsRead(db)
  // Somebody else changes the view: it writes from now on, which the catalog that was read does not say.
  await cluster.primary.query(`
    create function add() returns int language sql as $$ insert into item (name) values ('by a view') returning id $$;
    create or replace view shown as select add() as id, 'x'::text as name`)
  await cluster.waitForCatchup()
})

const rowsWritten = async () => (await cluster.primary.query('select from item')).length

describe.each([
  ['short', 10],
  ['long', 2_000],
])('a read with a %s text that a replica refuses because it writes', (_what, values) => {
  const ids = Array.from({ length: values }, (_, id) => -id)
  const shown = () =>
    db
      .withTables<{ shown: { id: number; name: string } }>()
      .selectFrom('shown')
      .select('id')
      .where('id', 'not in', ids)

  test.each(['the first time', 'again'])('counts as a write, %s', async () => {
    const request = openRequest()
    const before = await rowsWritten()
    await request.run(() => shown().execute())
    expect(await rowsWritten()).toBe(before + 1)
    expect(request.memory.wroteTo).toEqual(new Set(['default']))
  })

  test('counts as a write where it is streamed', async () => {
    const request = openRequest()
    const before = await rowsWritten()
    await request.run(async () => {
      // A text of its own, which no test before has told of.
      for await (const _row of shown().where(sql<boolean>`'streamed' is not null`).stream());
    })
    expect(await rowsWritten()).toBe(before + 1)
    expect(request.memory.wroteTo).toEqual(new Set(['default']))
  })
})
