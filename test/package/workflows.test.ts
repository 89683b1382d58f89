import { execFile, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

interface Workflow {
  permissions: Record<string, string>
  concurrency: object
  jobs: Record<string, Job>
}

interface Job {
  'timeout-minutes'?: number
  permissions?: Record<string, string>
  uses?: string
  needs?: string
  steps?: { uses?: string; run?: string }[]
  strategy?: { matrix: Record<string, unknown> }
}

const run = promisify(execFile)
const repository = fileURLToPath(new URL('../..', import.meta.url))
const read = (file: string) => readFileSync(path.join(repository, file), 'utf8')
const manifest = JSON.parse(read('package.json')) as {
  scripts: Record<string, string>
  engines: { node: string }
  peerDependencies: Record<string, string>
}

const FILES = readdirSync(path.join(repository, '.github/workflows'))
/** Pages, and what runs by itself, that tell of npm's scripts. */
const TELLERS = [
  '.ci/run',
  'CONTRIBUTING.md',
  'README.md',
  'RELEASING.md',
  ...FILES.map((file) => `.github/workflows/${file}`),
]

let directory: string
let workflows: Map<string, Workflow>

beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), 'write-pinning-workflows-'))
  // Nothing else in this repository reads YAML.
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund']
  await run('npm', ['install', '--prefix', directory, ...quietly, 'yaml@2'])
  const { parse } = createRequire(path.join(directory, 'package.json'))('yaml')
  workflows = new Map(FILES.map((file) => [file, parse(read(`.github/workflows/${file}`), { strict: true })]))
}, 120_000)

afterAll(() => rm(directory, { recursive: true, force: true }))

const jobs = () => [...workflows.values()].flatMap((workflow) => Object.values(workflow.jobs))
const steps = () => jobs().flatMap((job) => job.steps ?? [])
const matrix = (job: string) => workflows.get('ci.yml')?.jobs[job]?.strategy?.matrix ?? {}

describe('each workflow', () => {
  it('may only read, but for the job that publishes', () => {
    for (const [file, { permissions, jobs }] of workflows) {
      expect(permissions, file).toEqual({ contents: 'read' })
      const more = Object.entries(jobs).filter(([, job]) => job.permissions !== undefined)
      expect(
        more.map(([name]) => name),
        file,
      ).toEqual(file === 'release.yml' ? ['publish'] : [])
    }
  })

  it('is not run twice at once, and ends', () => {
    for (const [file, { concurrency, jobs }] of workflows) {
      expect(concurrency, file).toBeDefined()
      for (const [name, job] of Object.entries(jobs)) {
        if (job.uses === undefined) expect(job['timeout-minutes'], name).toBeGreaterThan(0)
      }
    }
  })

  it('uses actions of a fixed major version, and workflows that are there', () => {
    for (const { uses } of [...jobs(), ...steps()]) {
      if (uses === undefined) continue
      if (uses.startsWith('./')) expect(existsSync(path.join(repository, uses)), uses).toBe(true)
      else expect(uses).toMatch(/^[\w-]+\/[\w-]+@v\d+$/)
    }
  })

  it('runs files that are there', () => {
    const named = steps().flatMap(({ run = '' }) => [...run.matchAll(/\bnode ([\w./-]+\.js)/g)])
    expect(named).not.toEqual([])
    for (const [, file] of named) expect(existsSync(path.join(repository, String(file))), file).toBe(true)
  })
})

it.each(TELLERS)('%s names only scripts that package.json has', (file) => {
  const named = [...read(file).matchAll(/\bnpm (?:run (?:--silent )?)?([\w:]+)/g)].map(([call, name = '']) =>
    call.startsWith('npm run') ? name : (OF_NPM[name] ?? ''),
  )
  for (const name of named.filter(Boolean)) expect(Object.keys(manifest.scripts)).toContain(name)
})

/** Commands of npm's that run the script of the same name. */
const OF_NPM: Record<string, string> = { start: 'start', test: 'test' }

it('tests run on each Node.js from the least that is supported on', () => {
  expect(matrix('test').node).toEqual([20, 22, 24, 26])
  expect(manifest.engines.node).toMatch(/^>=20\./)
})

it('tests run on each version of PostgreSQL that their programs are known of', () => {
  const { stderr } = spawnSync(process.execPath, ['scripts/test-postgres.js'], {
    cwd: repository,
    encoding: 'utf8',
  })
  expect(stderr).toContain((matrix('postgres').postgres as number[]).join('|'))
})

it('tests run on each Kysely that is supported', () => {
  const { kysely, include } = matrix('test') as { kysely: string[]; include: { kysely: string }[] }
  const tested = [...new Set([...kysely, ...include.map((more) => more.kysely)])]
  expect(tested.map((version) => `^${version}.0`).join(' || ')).toBe(manifest.peerDependencies.kysely)
})

it('nothing is published whose tests have not passed', () => {
  const { ci, publish } = workflows.get('release.yml')?.jobs ?? {}
  expect(ci?.uses).toBe('./.github/workflows/ci.yml')
  expect(publish?.needs).toBe('ci')
  const commands = publish?.steps?.map(({ run }) => run)
  expect(commands?.indexOf('npm run check:release')).toBeLessThan(
    commands?.indexOf('npm publish --provenance --access public') ?? -1,
  )
})
