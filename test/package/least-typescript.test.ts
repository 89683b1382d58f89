import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const repository = fileURLToPath(new URL('../..', import.meta.url))
const newest = path.join(repository, 'node_modules/typescript/bin/tsc')
const MINUTE_MS = 60_000

let directory: string
let least: string

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'write-pinning-types-'))
  // It has the same command as the newest, so it is no dependency of the repository's.
  const compilers = path.join(directory, 'compilers')
  await mkdir(compilers)
  await writeFile(path.join(compilers, 'package.json'), '{ "private": true }')
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund']
  await run('npm', ['install', '--prefix', compilers, ...quietly, 'typescript@5.4'])
  least = path.join(compilers, 'node_modules/typescript/bin/tsc')
  const declarations = ['--emitDeclarationOnly', '--outDir', path.join(directory, 'dist')]
  await run(process.execPath, [newest, '-p', path.join(repository, 'tsconfig.build.json'), ...declarations])
  await symlink(path.join(repository, 'node_modules'), path.join(directory, 'node_modules'), 'dir')
  await writeFile(path.join(directory, 'package.json'), '{ "type": "module" }')
}, 3 * MINUTE_MS)

afterAll(() => rm(directory, { recursive: true, force: true }))

/** What the compiler says of a program that uses the package; empty where it is content. */
async function compile(compiler: string, program: string): Promise<string> {
  const settings = {
    compilerOptions: {
      ...{ target: 'es2022', module: 'nodenext', strict: true, noEmit: true, skipLibCheck: true },
      types: ['node'],
      paths: { 'write-pinning': ['./dist/index.d.ts'], 'write-pinning/*': ['./dist/*/index.d.ts'] },
    },
    files: ['app.ts'],
  }
  await writeFile(path.join(directory, 'tsconfig.json'), JSON.stringify(settings))
  await writeFile(path.join(directory, 'app.ts'), program)
  const compiled = run(process.execPath, [compiler, '-p', directory])
  return compiled.then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  )
}

const PUBLIC_FACE = `
import { createServer } from 'node:http'
import express, { type Request, type RequestHandler, type Response } from 'express'
import { fastify, type FastifyReply, type FastifyRequest } from 'fastify'
import knex from 'knex'
import { Kysely } from 'kysely'
import { type Client, Pool, type QueryResult } from 'pg'
import * as pinning from 'write-pinning'
import { markRoute, writePinning as ofExpress } from 'write-pinning/express'
import { writePinning } from 'write-pinning/fastify'
import { orPrimary, PrimaryReplicaDialect, toPrimary, toReplica } from 'write-pinning/kysely'
import { knexClient } from 'write-pinning/knex'
import * as ofPg from 'write-pinning/pg'

const { bindContext, capturePin, dbWrite, markWrite, runWithPin, useNode, usePrimary, useReplica, withoutPin } = pinning

const app = fastify()
await app.register(writePinning, { skip: (request) => request.url === '/x', pin: 'exact' })
app.get('/a', dbWrite(async (request: FastifyRequest, reply: FastifyReply) => reply.send(request.url)))
app.get<{ Querystring: { q: string } }>('/b', dbWrite(async (request) => request.query.q))
app.get('/c', { config: { dbWrite: true, readFrom: 'primary' } }, async (request) => request.writePin.until)
app.get('/d', usePrimary.wrap(async (request: FastifyRequest) => request.url))

const e = express()
const middleware = ofExpress({ skip: (request) => request.path === '/x' })
e.use(middleware)
e.get('/a', dbWrite((request: Request, response: Response) => void response.send(request.path)))
e.get('/b', markRoute({ dbWrite: true }), (request, response) => void response.json(request.writePin.until))
createServer((request, response) => middleware(request, response, () => response.end()))

interface Database { item: { id: number } }
const db = new Kysely<Database>({ dialect: new PrimaryReplicaDialect({ primary: 'postgres://localhost', replicas: [] }) })
const row: { id: number } | undefined = await db.selectFrom('item').selectAll().$call(orPrimary).executeTakeFirst()
await db.selectFrom('item').selectAll().$call(toPrimary).$call(toReplica).execute()
const text: Promise<string> = dbWrite(async (id: number) => String(id))(1)
const handler: RequestHandler = dbWrite<RequestHandler>((_request, response) => void response.end())
await useNode('reporting', () => useReplica(() => withoutPin(async () => markWrite())))
await runWithPin(await capturePin({ seconds: 60 }), async () => 1)
new Pool().query('select 1', bindContext((error: Error, result: QueryResult) => console.log(error, result.rowCount)))
const bound: (id: number) => Promise<string> = bindContext(async (id: number) => String(id))
const routed = new ofPg.PrimaryReplicaPool({ primary: 'postgres://localhost', replicas: [], maxLagMs: 1 })
const pool: Pool = routed
const names: Promise<string[]> = knex({ client: knexClient(routed), pool: { max: 50 } })('item').pluck('name')
const client: Client = new routed.driver.Client()
const { rows } = await pool.query<{ id: number }>(ofPg.orPrimary('select 1 as id where $1'), [true])
const ids: number[] = rows.map(({ id }) => id)
export { bound, client, handler, ids, names, row, text }
`

const INLINE = `
import express from 'express'
import { fastify } from 'fastify'
import { dbWrite, usePrimary } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'

const app = fastify()
await app.register(writePinning)
app.get('/a', dbWrite(async (request, reply) => reply.send(request.url)))
app.get('/b', usePrimary.wrap(async (request, reply) => reply.send(request.url)))
express().get('/a/:id', dbWrite((request, response) => void response.send(request.params.id)))
`

describe('the types', () => {
  it('are good for TypeScript 5.4 and the newest', { timeout: 2 * MINUTE_MS }, async () => {
    expect(await compile(least, PUBLIC_FACE)).toBe('')
    expect(await compile(newest, PUBLIC_FACE)).toBe('')
  })

  it('give the parameters of a handler within dbWrite() their types', { timeout: MINUTE_MS }, async () => {
    expect(await compile(newest, INLINE)).toBe('')
  })
})
