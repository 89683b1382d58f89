import pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { runWithPin, usePrimary } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { openBeside } from '../support/raw-clients.ts'
import { useShop } from '../support/shop.ts'

// What is asked together with a commit is seen by nobody, and sent only where it can tell something.
const shop = useShop({
  sql: [
    'create function quiet(x int) returns int language plpgsql as $$ begin return x; end $$',
    'create table checked (id int)',
    `create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$`,
    'create constraint trigger late after insert on checked deferrable initially deferred for each row execute function refuse()',
    `create function check_in() returns int language sql as 'insert into checked values (1) returning id'`,
  ],
})
const { cluster } = shop
let pool: PrimaryReplicaPool

beforeAll(async () => {
  pool = await openBeside(shop)
})

describe('the client hears what it hears with plain `pg`', () => {
  let plain: pg.Client

  beforeEach(async () => {
    plain = new pg.Client({ connectionString: cluster.primary.connectionString })
    await plain.connect()
  })
  afterEach(() => plain.end())

  test.each([
    ['a commit', ['begin', 'select quiet(1)', 'commit']],
    ['an end', ['begin', 'select quiet(1)', 'end work']],
    ['a chain', ['begin', 'select quiet(1)', 'commit and chain', 'select 1', 'rollback']],
    ['a commit of what has failed', ['begin', 'select quiet(1)', 'select 1 / 0', 'commit']],
    ['a commit of nothing', ['begin', 'commit']],
    ['a commit that is refused', ['begin', 'select check_in()', 'commit', 'select 1']],
  ])('%s', async (_what, texts) => {
    const heard = async (query: (text: string) => Promise<pg.QueryResult>) => {
      const all: unknown[] = []
      for (const text of texts) {
        all.push(
          await query(text).then(
            ({ command, rowCount, rows, fields }) => ({ command, rowCount, rows, fields: fields.length }),
            (error: { code?: string; message: string }) => [error.code, error.message],
          ),
        )
      }
      return all
    }
    const ours = await runWithPin(undefined, async () => {
      const client = await pool.connect()
      try {
        return await heard((text) => client.query(text))
      } finally {
        client.release()
      }
    })
    expect(ours).toEqual(await heard((text) => plain.query(text)))
  })
})

describe('it costs nothing where there is nothing to know', () => {
  test.each([
    ['a read-only transaction', ['begin read only', 'select id from item', 'commit']],
    ['one that wrote for sure', ['begin', "insert into item (name) values ('x')", 'commit']],
    ['one that has failed', ['begin', 'select quiet(1)', 'select 1 / 0', 'commit']],
    ['one that only locks rows', ['begin', 'select id from item for update', 'commit']],
    ['an empty one', ['begin', 'commit']],
  ])('%s is not asked', async (_what, texts) => {
    expect(await parsedOf(texts)).toEqual([])
  })

  test('one of reads is asked in the message of its commit, and nowhere else', async () => {
    expect(await parsedOf(['begin', 'select id from item', 'select quiet(1)', 'commit'])).toEqual([
      expect.stringContaining('xact_id'),
      'commit',
    ])
  })

  /** What of these texts, and of what is asked around them, was sent as more than a simple text. */
  async function parsedOf(texts: readonly string[]): Promise<string[]> {
    const parsed: string[] = []
    const primary = new pg.Pool({ connectionString: cluster.primary.connectionString, max: 1 })
    primary.on('connect', (client) => {
      const { connection } = client as unknown as {
        connection: { parse(message: { text: string }): void }
      }
      const parse = connection.parse.bind(connection)
      connection.parse = (message) => {
        parsed.push(message.text)
        parse(message)
      }
    })
    const watched = new PrimaryReplicaPool({
      primary,
      replicas: cluster.replicas.map(({ connectionString }) => connectionString),
    })
    await watched.ready()
    await runWithPin(undefined, () =>
      usePrimary(async () => {
        // Until its catalog is read, nothing is vouched for, and reads are asked about too.
        await expect
          .poll(
            async () => {
              parsed.length = 0
              await watched.query('select 1')
              return parsed
            },
            { timeout: 20_000 },
          )
          .toEqual([])
        const client = await watched.connect()
        for (const text of texts) await client.query(text).catch(() => {})
        client.release()
      }),
    )
    await watched.end()
    return parsed
  }
})
