import { type Kysely, sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import { type Database, poolOf } from '../support/cluster.ts'
import { openRequest, type Request, whenCatalogIsRead } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

// Statements about the session that write, or that run what writes.
const { cluster, open } = useShop({
  sql: `create function add() returns int language sql as $$ insert into item (name) values ('added') returning id $$`,
})
let db: Kysely<Database>
let request: Request

beforeEach(async () => {
  request = openRequest()
  // A session of its own for each test: what one prepares, the next does not find.
  const primary = poolOf(cluster.primary)
  db = open({ primary })
  await request.run(() => db.selectFrom('item').select('id').execute())
})

/** Runs texts on one connection, one after the other, and tells whether the request has written. */
async function counts(...texts: string[]): Promise<boolean> {
  await request.run(() =>
    db.connection().execute(async (on) => {
      for (const text of texts) await sql.raw(text).execute(on)
    }),
  )
  return request.memory.wroteTo !== undefined
}

async function countsInTransaction(...texts: string[]): Promise<boolean> {
  await request.run(() =>
    db.transaction().execute(async (trx) => {
      for (const text of texts) await sql.raw(text).execute(trx)
    }),
  )
  return request.memory.wroteTo !== undefined
}

const INSERT = "insert into item (name) values ('x')"

describe('it counts as a write', () => {
  const writing: Record<string, string[]> = {
    'to make a temporary table of what a volatile function gives': ['create temp table x as select add()'],
    'the same behind a comment, and spelled out': [
      '/* ; */ CREATE LOCAL TEMPORARY TABLE IF NOT EXISTS x (id) ON COMMIT DROP AS (SELECT add())',
    ],
    'to select into a temporary table over a volatile function': ['select add() as id into temp x'],
    'to make a temporary view over a volatile function, which reads of it will call': [
      'create temp view x as select add()',
    ],
    'to execute a prepared insert': [`prepare p as ${INSERT}`, 'execute p'],
    'to execute a prepared update that matches': [`prepare p as ${INSERT}`, 'execute p', 'deallocate p'],
    'to execute a prepared call of a volatile function': ['prepare p as select add()', 'execute p'],
    'the same by a quoted name, with parameters': [
      'prepare "P as" (int, numeric(4, 1)) as select add() where $1 > $2',
      'execute "P as" (2, 1.0)',
    ],
    'to execute something with a volatile function as its argument': [
      'prepare p (int) as select $1',
      'execute p (add())',
    ],
    'to explain how that would be executed, which calls the function': [
      'prepare p (int) as select $1',
      'explain execute p (add())',
    ],
    'to make a temporary table of an executed statement that writes': [
      'prepare p as select add()',
      'create temp table x as execute p',
    ],
    'to explain and analyze an executed statement that writes': [
      `prepare p as ${INSERT}`,
      'explain analyze execute p',
    ],
    'to explain and analyze a cursor over a volatile function': [
      'explain (costs off, analyze) declare c cursor for select add()',
    ],
    'to explain and analyze an insert': [`explain analyze ${INSERT}`],
    'to explain and analyze a temporary table of what a volatile function gives': [
      'explain analyze create temp table x as select add()',
    ],
    'to declare a cursor over a volatile function that outlives its transaction': [
      'declare c cursor with hold for select add()',
    ],
    'to execute under a name that means something else by now': [
      'prepare p as select 1',
      'deallocate prepare p',
      "do $$ begin execute 'prepare p as select add()'; end $$",
    ],
  }
  for (const [name, texts] of Object.entries(writing)) {
    test(name, async () => {
      expect(await counts(...texts)).toBe(true)
    })
  }

  test('to execute what nobody has seen being prepared', async () => {
    await request.run(() =>
      db.connection().execute(async (on) => {
        await sql`do $$ begin execute 'prepare p as select add()'; end $$`.execute(on)
        request = openRequest()
        await request.run(() => sql`execute p`.execute(on))
      }),
    )
    expect(request.memory.wroteTo).toEqual(new Set(['default']))
  })

  test('to fetch from a cursor over a volatile function, once that is committed', async () => {
    const trx = await request.run(() => db.startTransaction().execute())
    await request.run(async () => {
      await sql`declare c no scroll cursor for select add()`.execute(trx)
      await sql`fetch next from c`.execute(trx)
    })
    expect(request.memory.wroteTo).toBeUndefined()
    await request.run(() => trx.commit().execute())
    expect(request.memory.wroteTo).toEqual(new Set(['default']))
  })

  test('to fetch from a cursor that somebody else has declared', async () => {
    const other = openRequest()
    const trx = await other.run(() => db.startTransaction().execute())
    await other.run(() => sql`declare c cursor for select add()`.execute(trx))
    await request.run(() => sql`fetch all in c`.execute(trx))
    await request.run(() => trx.commit().execute())
    expect(request.memory.wroteTo).toEqual(new Set(['default']))
  })
})

describe('it pins nobody', () => {
  const harmless: Record<string, string[]> = {
    'to prepare an insert': [`prepare p as ${INSERT}`],
    'to execute a prepared read': ['prepare p (int) as select $1, lower(name) from item', 'execute p (1)'],
    'to execute one by its quoted name': ['prepare P as select 1;', 'execute "p";'],
    'to execute a prepared update of no row': [
      "prepare p as update item set name = 'x' where id = -1",
      'execute p',
    ],
    'to explain a prepared insert': [`prepare p as ${INSERT}`, 'explain execute p'],
    'to prepare one anew that was a write': [
      `prepare p as ${INSERT}`,
      'deallocate p',
      'prepare p as select 1',
      'execute p',
    ],
    'to make a temporary table': [
      'create temp table x (id int default add(), name text check (length(name) > 1))',
    ],
    'to make one of a read': ['create temp table x as select id from item'],
    'to make one of an executed read': ['prepare p as select 1 as one', 'create temp table x as execute p'],
    'to make a temporary sequence': ['create temp sequence s as bigint'],
    'to forget all prepared statements': ['deallocate all', 'discard plans'],
    'to declare a cursor over a read that outlives its transaction': [
      'declare c cursor with hold for select id from item',
      'fetch 10 from c',
      'close c',
    ],
    'to explain a cursor over a volatile function': ['explain declare c cursor for select add()'],
  }
  for (const [name, texts] of Object.entries(harmless)) {
    test(name, async () => {
      await whenCatalogIsRead(db)
      expect(await counts(...texts)).toBe(false)
    })
  }

  test('to read through a cursor', async () => {
    const texts = [
      'declare c scroll cursor for select id from item',
      'fetch 2 from c',
      'move last in c',
      'close c',
    ]
    expect(await countsInTransaction(...texts)).toBe(false)
  })
})

describe('where standard_conforming_strings is off', () => {
  const hidden: Record<string, string> = {
    'a second statement': "select 'a\\', '; insert into item (name) values ($$x$$); --'",
    'behind a quote that is doubled': "select 'a\\'', add() --'",
    'in a national string': "select N'a\\', '; select add(); --'",
    'behind more backslashes': "select '\\\\\\', '; select add(); --'",
  }
  for (const [name, text] of Object.entries(hidden)) {
    test(`a write that hides behind a backslash counts: ${name}`, async () => {
      const before = await items()
      expect(
        await counts('set standard_conforming_strings = off; set escape_string_warning = off', text),
      ).toBe(true)
      request = openRequest()
      // The same text is no write where the setting is on, which nobody knows.
      expect(await counts(text)).toBe(true)
      expect(await items()).toBeGreaterThan(before)
    })
  }

  const items = async () =>
    Number((await cluster.primary.query<{ n: string }>('select count(*) as n from item'))[0]?.n)
})

describe('a backslash that means the same everywhere changes nothing', () => {
  for (const text of [
    "select name from item where name like '%\\_%'",
    "select name from item where name like '%x' escape '\\'",
    "select name from item where name like '\\\\%' or name = 'x\\\\'",
    "select name from item where name = E'it\\'s' and name <> 'x'",
    "select $$\\$$, 'x' from item where name <> $a$\\'$a$",
    "select U&'\\0041', 'x'",
  ]) {
    test(text, async () => {
      expect(await counts(text)).toBe(false)
    })
  }
})
