import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { repository } from './pages.ts'

const SOURCES = [
  'package.json',
  'build.js',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.cjs.json',
  'commonjs',
  'src',
]
const cache = path.join(repository, 'node_modules/.cache/write-pinning-docs')
const KEPT_BUILDS = 3

/** The directory of the package as users get it: its `package.json` and `dist`. Builds it once for each state of the sources. */
export function builtPackage(): string {
  const built = path.join(cache, stateOfSources())
  if (!existsSync(built)) {
    mkdirSync(cache, { recursive: true })
    // Not in the cache itself: within `node_modules` the compiler would write other paths into the declarations.
    const source = mkdtempSync(path.join(tmpdir(), 'write-pinning-build-'))
    const copy = mkdtempSync(path.join(cache, 'copying-'))
    try {
      for (const name of SOURCES) {
        cpSync(path.join(repository, name), path.join(source, name), { recursive: true })
      }
      symlinkSync(path.join(repository, 'node_modules'), path.join(source, 'node_modules'), 'dir')
      execFileSync(process.execPath, ['build.js'], { cwd: source, stdio: ['ignore', 'pipe', 'pipe'] })
      for (const name of ['package.json', 'dist']) {
        cpSync(path.join(source, name), path.join(copy, name), { recursive: true })
      }
      renameSync(copy, built)
    } catch (error) {
      // Another process may have built the same meanwhile.
      if (!existsSync(built)) throw error
    } finally {
      rmSync(source, { recursive: true })
      rmSync(copy, { recursive: true, force: true })
    }
    removeOldBuilds()
  }
  utimesSync(built, new Date(), new Date())
  return built
}

/** Makes an empty project, an ES module, which has the built package and every package of the repository. */
export function makeProject(): string {
  const project = mkdtempSync(path.join(tmpdir(), 'write-pinning-docs-'))
  const modules = path.join(project, 'node_modules')
  mkdirSync(modules)
  for (const name of readdirSync(path.join(repository, 'node_modules'))) {
    if (!name.startsWith('.')) {
      symlinkSync(path.join(repository, 'node_modules', name), path.join(modules, name), 'dir')
    }
  }
  symlinkSync(builtPackage(), path.join(modules, 'write-pinning'), 'dir')
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  return project
}

function stateOfSources(): string {
  const hash = createHash('sha256')
  for (const source of SOURCES) {
    const place = path.join(repository, source)
    const files = statSync(place).isDirectory()
      ? readdirSync(place, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => path.join(entry.parentPath, entry.name))
          .sort()
      : [place]
    for (const file of files) hash.update(`${path.relative(repository, file)}\n`).update(readFileSync(file))
  }
  return hash.digest('hex').slice(0, 16)
}

function removeOldBuilds(): void {
  const builds = readdirSync(cache)
    .filter((name) => !name.startsWith('copying-'))
    .map((name) => ({ name, used: statSync(path.join(cache, name)).mtimeMs }))
    .sort((a, b) => b.used - a.used)
  for (const { name } of builds.slice(KEPT_BUILDS)) rmSync(path.join(cache, name), { recursive: true })
}
