import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type PostgresCluster, startPostgresCluster } from 'write-pinning/testing'
import { PackedPackage, type Project } from '../package/packed-package.ts'

const run = promisify(execFile)

let packed: PackedPackage
let cluster: PostgresCluster

beforeAll(async () => {
  packed = await PackedPackage.pack()
  cluster = await startPostgresCluster({ replicas: 1 })
  await cluster.primary.query('create table note (text text)')
  await cluster.waitForCatchup()
})

afterAll(async () => {
  await cluster?.stop()
  await packed?.remove()
})

/** What is installed, and why it is not the newest. */
interface Versions {
  node: string
  kysely: string
  cookie: string
}

const VERSIONS: Versions[] = [
  // The newest of the two ask for Node.js 22.
  { node: '20.19.0', kysely: '0.28', cookie: '11.1.0' },
  { node: '22', kysely: '0.29', cookie: '11' },
  { node: '24', kysely: '0.29', cookie: '11' },
  { node: '26', kysely: '0.29', cookie: '11' },
]

describe.each(VERSIONS)('on Node.js $node', ({ node, kysely, cookie }) => {
  const projects: [name: string, packages: Record<string, string>, entries: string[], app: string[]][] = [
    [
      'Fastify and pg',
      { fastify: '5', '@fastify/cookie': cookie, pg: '8' },
      ['', '/fastify', '/pg', '/stores', '/aws', '/testing'],
      fastifyApp(),
    ],
    [
      `Express and Kysely ${kysely}`,
      { express: '5', kysely, pg: '8' },
      ['', '/express', '/kysely', '/pg', '/stores', '/aws', '/testing'],
      expressApp(),
    ],
  ]

  describe.each(projects)('a project with %s', (name, packages, entries, app) => {
    const directory = `${name.replaceAll(/\W+/g, '-')}-on-${node}`
    let binary: string
    let project: Project

    beforeAll(async () => {
      const files = {
        'entries.js': importing(entries),
        'entries.cjs': requiring(entries),
        'app.js': app.join('\n'),
        'app.cjs': asCommonJs(app),
      }
      binary = await binaryOf(node)
      project = await packed.install(directory, packages, files, { node: binary })
    })

    it('is installed without a warning', async () => {
      if (project.installWarnings === '') return
      // What its framework has npm warn of by itself is not ours: Fastify depends on a `cookie` that asks for Node.js 22.
      const without = await packed.install(
        `${directory}-alone`,
        packages,
        {},
        { node: binary, withPackage: false },
      )
      expect(project.installWarnings).toBe(without.installWarnings)
    })

    it.each(['entries.js', 'entries.cjs'])('loads each entry: %s', async (file) => {
      const [version, ...loaded] = (await project.run(file)).trim().split('\n')
      expect(version).toMatch(new RegExp(`^v${node}\\b`))
      expect(loaded).toEqual(entries.map((entry) => `write-pinning${entry}: function`))
    })

    it.each(['app.js', 'app.cjs'])('serves reads and writes from the right server: %s', async (file) => {
      const urls = cluster.nodes.map(({ connectionString }) => connectionString)
      expect(JSON.parse(await project.run(file, ...urls))).toEqual({
        unpinned: { node: 'replica-1', cookies: [] },
        writing: { node: 'primary', cookies: [expect.stringMatching(/^write_pin=/)] },
        pinned: { node: 'primary', cookies: [] },
      })
    })
  })
})

/** The program of that Node.js. */
async function binaryOf(version: string): Promise<string> {
  const args = ['--yes', '--package', `node@${version}`, '--', 'node', '--print', 'process.execPath']
  return (await run('npx', args)).stdout.trim()
}

/** Prints what kind the first export of each entry is that is a function; a type has none. */
function importing(entries: string[]): string {
  return `
console.log(process.version)
for (const entry of ${JSON.stringify(entries)}) {
  const name = 'write-pinning' + entry
  console.log(name + ': ' + typeof Object.values(await import(name)).find((value) => typeof value === 'function'))
}
`
}

function requiring(entries: string[]): string {
  return `
console.log(process.version)
for (const entry of ${JSON.stringify(entries)}) {
  const name = 'write-pinning' + entry
  console.log(name + ': ' + typeof Object.values(require(name)).find((value) => typeof value === 'function'))
}
`
}

/** The same lines, with `require()`. */
function asCommonJs(lines: string[]): string {
  return lines.map((line) => line.replace(/^import (.*) from (.*)$/, 'const $1 = require($2)')).join('\n')
}

function fastifyApp(): string[] {
  return [
    "import { fastify } from 'fastify'",
    "import { writePinning } from 'write-pinning/fastify'",
    "import { PrimaryReplicaPool } from 'write-pinning/pg'",
    ...askingItself(`
  const pool = new PrimaryReplicaPool({ primary, replicas: [replica] })
  const app = fastify()
  app.addHook('onClose', () => pool.end())
  await app.register(writePinning)
  app.get('/', async () => (await pool.query('select text from note')).rows)
  app.post('/', async () => (await pool.query("insert into note values ('a')")).rowCount)
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  const close = () => app.close()`),
  ]
}

function expressApp(): string[] {
  return [
    "import express from 'express'",
    "import { Kysely } from 'kysely'",
    "import { writePinning } from 'write-pinning/express'",
    "import { PrimaryReplicaDialect } from 'write-pinning/kysely'",
    ...askingItself(`
  const db = new Kysely({ dialect: new PrimaryReplicaDialect({ primary, replicas: [replica] }) })
  const app = express()
  app.use(writePinning())
  app.get('/', async (request, response) => response.json(await db.selectFrom('note').selectAll().execute()))
  app.post('/', async (request, response) => {
    await db.insertInto('note').values({ text: 'a' }).execute()
    response.json(1)
  })
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const origin = 'http://127.0.0.1:' + server.address().port
  const close = async () => {
    server.closeAllConnections()
    server.close()
    await db.destroy()
  }`),
  ]
}

/** Starts an application, then reads, writes, and reads with the cookie of the write; prints where each statement went. */
function askingItself(start: string): string[] {
  return `import { subscribe } from 'node:diagnostics_channel'
import { setTimeout } from 'node:timers/promises'
import { ROUTE_CHANNEL } from 'write-pinning'
const [primary, replica] = process.argv.slice(2)
async function main() {${start}
  let node
  subscribe(ROUTE_CHANNEL, (event) => {
    if (event.sql.includes('note')) node = event.node
  })
  const ask = async (init) => {
    const response = await fetch(origin, init)
    if (!response.ok) throw new Error(await response.text())
    await response.text()
    return { node, cookies: response.headers.getSetCookie() }
  }
  // The first reads go to the primary, until it is known how late the replica is.
  let unpinned = await ask()
  while (unpinned.node === 'primary') {
    await setTimeout(20)
    unpinned = await ask()
  }
  const writing = await ask({ method: 'POST' })
  const pinned = await ask({ headers: { cookie: writing.cookies[0].split(';')[0] } })
  console.log(JSON.stringify({ unpinned, writing, pinned }))
  await close()
}
main()`.split('\n')
}
