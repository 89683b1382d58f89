import { type Kysely, sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { type Database, poolOf } from '../support/cluster.ts'
import { openRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// What a refused text has done to its transaction is told by the server, with the end of its answer, and not by the text.
const { cluster, db, open } = useShop()

const ADD = "insert into item (name) values ('x')"
const run = (on: Kysely<Database>, text: string) => sql.raw(text).execute(on)
const refused = (on: Kysely<Database>, text: string) =>
  run(on, text).then(
    () => expect.fail(`'${text}' was to be refused`),
    () => undefined,
  )

/** How many items are left of what is committed, and whether that counts as a write. */
async function afterCommit(work: (trx: Kysely<Database>) => Promise<unknown>) {
  await cluster.primary.query('truncate item')
  const request = openRequest()
  const trx = await request.run(() => db.startTransaction().execute())
  await request.run(() => work(trx))
  await request.run(() => trx.commit().execute())
  const items = (await cluster.primary.query('select from item')).length
  return { items, counts: request.memory.wroteTo?.has('default') === true }
}

describe('what was written before counts, after a text that would end the transaction and is refused', () => {
  test.each(['rollback savepoint here', 'commit here', 'select 1; rollback here'])('%s', async (text) => {
    const work = async (trx: Kysely<Database>) => {
      await run(trx, ADD)
      await run(trx, 'savepoint here')
      await refused(trx, text)
      await run(trx, 'rollback to savepoint here')
    }
    expect(await afterCommit(work)).toEqual({ items: 1, counts: true })
  })
})

describe('what is written in a text that begins another transaction counts, where the one before has failed', () => {
  test.each(['rollback and chain', 'rollback; begin'])('%s', async (text) => {
    const work = async (trx: Kysely<Database>) => {
      await refused(trx, 'select 1 / 0')
      await run(trx, `${text}; ${ADD}`)
    }
    expect(await afterCommit(work)).toEqual({ items: 1, counts: true })
  })
})

describe('a session is not handed on in a transaction that has failed: after', () => {
  test.each(['begin; select 1 / 0', 'commit; begin; select 1 / 0'])('%s', async (text) => {
    const primary = poolOf(cluster.primary)
    primary.options.max = 1
    const one = open({ primary })
    await refused(one, text)
    await run(one, ADD)
  })
})
