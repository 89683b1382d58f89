import { execFile } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeProject } from '../docs/built-package.ts'
import { repository } from '../docs/pages.ts'

const run = promisify(execFile)
const tsc = path.join(repository, 'node_modules/typescript/bin/tsc')
const OTHERS = ['', '/aws', '/knex', '/kysely', '/pg', '/stores', '/testing']

let project: string

beforeAll(() => {
  project = makeProject()
}, 60_000)

afterAll(() => rm(project, { recursive: true, force: true }))

const USE_OF_FASTIFY = `
import { fastify } from 'fastify'
const app = fastify()
app.get('/', { config: { dbWrite: 'of another plugin' } }, async (request) => ({
  // @ts-expect-error
  pin: request.writePin,
  // @ts-expect-error
  counts: app.writePinning,
}))
`

const USE_OF_EXPRESS = `
import express from 'express'
express().get('/', (request, response) => {
  // @ts-expect-error
  response.json(request.writePin)
})
`

describe("the types of a framework's request", () => {
  it('are those of the framework where its entry is not imported', { timeout: 60_000 }, async () => {
    expect(await compile(OTHERS, USE_OF_FASTIFY + USE_OF_EXPRESS)).toBe('')
  })

  it("are Fastify's own where Express's entry is imported", { timeout: 60_000 }, async () => {
    expect(await compile([...OTHERS, '/express'], USE_OF_FASTIFY)).toBe('')
  })

  it("are Express's own where Fastify's entry is imported", { timeout: 60_000 }, async () => {
    expect(await compile([...OTHERS, '/fastify'], USE_OF_EXPRESS)).toBe('')
  })

  it('have the pin where its entry is imported', { timeout: 60_000 }, async () => {
    const [fastify, express] = [USE_OF_FASTIFY, USE_OF_EXPRESS].map((use) =>
      use.replaceAll('// @ts-expect-error', '').replace("'of another plugin'", 'true'),
    )
    expect(await compile(['/fastify', '/express'], `${fastify}${express}`)).toBe('')
  })
})

/** What the compiler says of a program that imports these entries. */
async function compile(entries: readonly string[], program: string): Promise<string> {
  const imports = entries.map((entry) => `import 'write-pinning${entry}'\n`)
  await writeFile(path.join(project, 'app.ts'), imports.join('') + program)
  const options = ['--strict', '--noEmit', '--skipLibCheck', '--module', 'nodenext', '--types', 'node']
  return run(process.execPath, [tsc, 'app.ts', ...options, '--pretty', 'false'], { cwd: project }).then(
    () => '',
    ({ stdout }: { stdout: string }) => stdout,
  )
}
