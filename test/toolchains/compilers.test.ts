import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PackedPackage, type Project } from '../package/packed-package.ts'

let packed: PackedPackage
let project: Project

beforeAll(async () => {
  packed = await PackedPackage.pack()
  project = await packed.install('compilers', packages(), {
    'compile.cjs': compile(),
    'app.ts': app(),
    // What only a CommonJS file can say, and what it says without `esModuleInterop`.
    'required.cts': required(),
    'plain.ts': plain(),
  })
})

afterAll(() => packed?.remove())

describe('a project with all entries', () => {
  it.each(['5.4', '5.9'])('compiles with TypeScript %s in every kind of module', async (version) => {
    const results = JSON.parse(await project.run('compile.cjs', `typescript-${version}`)) as [
      string,
      string[],
    ][]
    expect(results).toHaveLength(8)
    for (const [settings, errors] of results) expect(errors, settings).toEqual([])
  })

  it.each([
    ['node16', 'commonjs'],
    ['node16', 'module'],
    ['nodenext', 'commonjs'],
    ['nodenext', 'module'],
    ['bundler', 'commonjs'],
    ['bundler', 'module'],
  ])('compiles with the newest TypeScript under %s, as %s', async (resolution, type) => {
    const module = resolution !== 'bundler' ? resolution : type === 'module' ? 'esnext' : 'commonjs'
    await project.write('package.json', JSON.stringify({ private: true, type }))
    const settings = { target: 'es2022', module, moduleResolution: resolution, strict: true, types: ['node'] }
    const files = resolution === 'bundler' ? ['app.ts'] : ['app.ts', 'required.cts']
    // Packages beside this one are not all clean there.
    const compilerOptions = { ...settings, noEmit: true, skipLibCheck: true }
    await project.write('tsconfig.json', JSON.stringify({ compilerOptions, files }))
    await project.compile()
  })
})

function packages(): Record<string, string> {
  return {
    'typescript-5.4': 'npm:typescript@~5.4.5',
    'typescript-5.9': 'npm:typescript@~5.9.3',
    '@types/node': '^20.19.43',
    '@types/express': '^5.0.6',
    '@types/pg': '^8.23.1',
    '@aws-sdk/rds-signer': '^3.1175.0',
    '@fastify/cookie': '11.1.0',
    express: '^5.3.0',
    fastify: '^5.12.8',
    kysely: '^0.28.18',
    pg: '^8.23.1',
  }
}

/**
 * Compiles with the TypeScript of that name, once for each kind of module, and prints the errors in the project's files and in
 * this package's declarations; those of other packages with an older TypeScript are their own.
 */
function compile(): string {
  return `
const { writeFileSync } = require('node:fs')
const ts = require(process.argv[2])

const kinds = [
  ['commonjs', 'node10', 'commonjs', ['app.ts']],
  ['commonjs', 'node10', 'commonjs', ['plain.ts'], { esModuleInterop: false }],
  ['node16', 'node16', 'commonjs', ['app.ts', 'required.cts']],
  ['node16', 'node16', 'module', ['app.ts', 'required.cts']],
  ['nodenext', 'nodenext', 'commonjs', ['app.ts', 'required.cts']],
  ['nodenext', 'nodenext', 'module', ['app.ts', 'required.cts']],
  ['preserve', 'bundler', 'commonjs', ['app.ts']],
  ['esnext', 'bundler', 'module', ['app.ts']],
]
const parsed = new Map()

function errorsOf([module, moduleResolution, type, files, more]) {
  writeFileSync('package.json', JSON.stringify({ private: true, type }))
  const json = { target: 'es2022', strict: true, noEmit: true, types: ['node'], esModuleInterop: true, module, moduleResolution, ...more }
  const { options, errors } = ts.convertCompilerOptionsFromJson(json, process.cwd())
  const program = ts.createProgram(files, options, hostFor(options))
  const own = program.getSourceFiles().filter(({ fileName }) => fileName.includes('/write-pinning/') || !fileName.includes('/node_modules/'))
  const all = [
    ...errors,
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...own.flatMap((file) => [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]),
  ]
  return all.map(({ file, messageText }) => (file?.fileName ?? '') + ': ' + ts.flattenDiagnosticMessageText(messageText, ' '))
}

// The standard library and the types of Node.js are parsed once.
function hostFor(options) {
  const host = ts.createCompilerHost(options)
  const parse = host.getSourceFile
  host.getSourceFile = (name, settings, ...rest) => {
    if (!/\\/node_modules\\/(@types\\/node|typescript-)/.test(name)) return parse.call(host, name, settings, ...rest)
    const key = [name, settings.impliedNodeFormat, settings.languageVersion].join()
    if (!parsed.has(key)) parsed.set(key, parse.call(host, name, settings, ...rest))
    return parsed.get(key)
  }
  return host
}

console.log(JSON.stringify(kinds.map((kind) => [kind.slice(0, 3).join(), errorsOf(kind)])))
`
}

function app(): string {
  return `
import express from 'express'
import { fastify } from 'fastify'
import makeMiddleware, { writePinning as makeToo } from 'write-pinning/express'
import plugin, { writePinning } from 'write-pinning/fastify'
${body()}
fastify().register(writePinning, options).register(plugin, options)
express().use(makeMiddleware(), makeToo(expressOptions))
`
}

function plain(): string {
  return `
import express = require('express')
import { fastify } from 'fastify'
import { writePinning as makeToo } from 'write-pinning/express'
import { writePinning } from 'write-pinning/fastify'
${body()}
fastify().register(writePinning, options)
express().use(makeToo(expressOptions))
`
}

function body(): string {
  return `
import type { Request, Response } from 'express'
import { Kysely, sql } from 'kysely'
import { capturePin, dbWrite, markWrite, ROUTE_CHANNEL, type RouteEvent, runWithPin, usePrimary, WritePinningError } from 'write-pinning'
import { rdsIamPassword } from 'write-pinning/aws'
import { markRoute, type WritePinningOptions as ExpressOptions } from 'write-pinning/express'
import type { WritePinningOptions } from 'write-pinning/fastify'
import { orPrimary, PrimaryReplicaDialect, toPrimary } from 'write-pinning/kysely'
import { type PostgresCluster, startPostgresCluster } from 'write-pinning/testing'

export const db = new Kysely<{ item: { name: string } }>({
  dialect: new PrimaryReplicaDialect({
    primary: { connectionString: process.env.DATABASE_URL, password: rdsIamPassword({ hostname: 'db', port: 5432, username: 'app', region: 'eu-west-1' }) },
    replicas: [{ name: 'reporting', pool: process.env.REPLICA_URL, weight: 0 }],
  }),
})
export const items = () => usePrimary(() => db.selectFrom('item').selectAll().$call(orPrimary).execute())
export const one = () => toPrimary(sql\`select 1\`).execute(db)

export const options: WritePinningOptions = { pinningSeconds: 15, skip: (request) => request.headers['x-bot'] === '1' }
export const expressOptions: ExpressOptions = { skip: (request) => request.get('x-bot') === '1' }
const app = fastify()
app.get('/', { config: { readFrom: 'replica' } }, async (request) => [request.writePin.until, app.writePinning.counts])
const router = express.Router()
router.get('/', markRoute({ readFrom: 'replica' }), (request: Request, response: Response) => {
  response.json({ until: request.writePin.until })
})
router.post('/', dbWrite((_request: Request, response: Response) => { response.send('done') }))

export function why(error: unknown): string | undefined {
  return error instanceof WritePinningError ? error.code : undefined
}
export const job = (pin?: string) => runWithPin(pin, async () => { markWrite(); return capturePin() })
export const cluster = (): Promise<PostgresCluster> => startPostgresCluster()
export const node = (event: RouteEvent) => [ROUTE_CHANNEL, event.node]
`
}

function required(): string {
  return `
import express = require('express')
import { fastify } from 'fastify'
import makeMiddleware = require('write-pinning/express')
import writePinning = require('write-pinning/fastify')

const options: writePinning.WritePinningOptions = { pinningSeconds: 15 }
fastify().register(writePinning, options).register(writePinning.writePinning).register(writePinning.default)
express().use(makeMiddleware(), makeMiddleware.writePinning(), makeMiddleware.default())
express().get('/', makeMiddleware.markRoute({ dbWrite: true }), (_request, response) => { response.send('done') })
`
}
