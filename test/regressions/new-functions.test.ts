import { type Kysely, sql } from 'kysely'
import { beforeEach, describe, expect, test } from 'vitest'
import type { Database } from '../support/cluster.ts'
import { pinCookie, type UserAgent } from '../support/http.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// A function is created while the process runs. Its declaration says what its calls are; where that cannot be known yet, the server
// says whether one wrote.
const { cluster, open, serveShop } = useShop()
let db: Kysely<Database>
let agent: UserAgent
let made = 0

beforeEach(async () => {
  db = open()
  const { openAgent } = await serveShop(db, {}, async (routes) => {
    routes.get('/call/:name', (request) => call(db, (request.params as { name: string }).name))
    routes.get('/in-transaction/:name', (request) =>
      db.transaction().execute((trx) => call(trx, (request.params as { name: string }).name)),
    )
  })
  agent = openAgent()
  // The catalog is read, and once more for the second: nobody has it read again for a while.
  for (let time = 0; time < 2; time++) await agent.get(`/call/${await create('stable', 'select 1')}`)
})

async function call(on: Kysely<Database>, name: string): Promise<unknown> {
  return (await sql.raw(`select ${name}() as answer`).execute(on)).rows[0]
}

/** Creates a function of a new name. */
async function create(volatility: 'stable' | 'volatile', body: string): Promise<string> {
  const name = `made_${++made}`
  await cluster.primary.query(
    `create function ${name}() returns int language sql ${volatility} as $$ ${body} $$`,
  )
  await cluster.waitForCatchup()
  return name
}

const WRITES = "insert into item (name) values ('by a function') returning 1"

test('a function that was made after the catalog was read goes where its declaration says, at its first call', async () => {
  const fresh = open()
  await fresh.connection().execute(async () => {})
  const { openAgent } = await serveShop(fresh, {}, async (routes) => {
    routes.get('/call/:name', (request) => call(fresh, (request.params as { name: string }).name))
  })
  const user = openAgent()
  await user.get('/items/any') // the catalog was read by then, or is waited for
  const name = await create('stable', 'select 7')
  const routes = await routesOf(async () => {
    const answer = await user.get(`/call/${name}`)
    expect([answer.json(), pinCookie(answer)]).toEqual([{ answer: 7 }, undefined])
  })
  expect(routes.map(({ node, reason }) => [node, reason])).toEqual([['replica-1', 'read']])
})

describe.each(['/call', '/in-transaction'])('GET %s of a function that nobody has heard of', (path) => {
  test('reads from the primary and pins nobody, where the server says that it wrote nothing', async () => {
    const name = await create('volatile', 'select 7')
    const routes = await routesOf(async () => {
      const answer = await agent.get(`${path}/${name}`)
      expect([answer.json(), pinCookie(answer)]).toEqual([{ answer: 7 }, undefined])
    })
    expect(new Set(routes.map(({ node }) => node))).toEqual(new Set(['primary']))
  })

  test('pins where it wrote', async () => {
    const answer = await agent.get(`${path}/${await create('volatile', WRITES)}`)
    expect(pinCookie(answer)).toBeDefined()
  })
})
