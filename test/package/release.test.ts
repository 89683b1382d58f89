import { execFile, execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'

const script = (name: string) => fileURLToPath(new URL(`../../scripts/${name}.js`, import.meta.url))
const address = 'https://github.com/someone/write-pinning'
const today = new Date().toISOString().slice(0, 10)

/** A repository that is ready to be published. */
let root: string
let manifest: Record<string, unknown>

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'write-pinning-release-'))
  manifest = {
    name: 'write-pinning',
    version: '1.2.0',
    license: 'MIT',
    homepage: address,
    bugs: { url: `${address}/issues` },
    repository: { type: 'git', url: `git+${address}.git` },
    scripts: { lint: 'exit 0', typecheck: 'exit 0', 'check:pack': 'exit 0' },
  }
  write('package-lock.json', '{ "version": "1.2.0" }')
  write('.gitignore', 'node_modules/\n')
  write('LICENSE', 'MIT License\n')
  write('README.md', '# write-pinning\n')
  write('SECURITY.md', 'Write to security@write-pinning.example.\n')
  write('CHANGELOG.md', changeLog(`## [1.2.0] - ${today}\n\n- News.\n`))
  git('init', '--quiet', '--initial-branch=main')
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

it('takes what is ready', async () => {
  commit()
  expect(await check()).toContain('✓ write-pinning 1.2.0 is ready to be published.')
})

const unready: [name: string, change: () => void, problem: string][] = [
  ['no homepage', () => delete manifest.homepage, 'package.json has no homepage'],
  ['no place for bugs', () => delete manifest.bugs, 'package.json has no bugs'],
  ['no repository', () => delete manifest.repository, 'package.json has no repository'],
  [
    'a placeholder in package.json',
    () => Object.assign(manifest, { homepage: 'https://github.com/OWNER/write-pinning' }),
    'package.json holds a placeholder (github.com/OWNER)',
  ],
  [
    'a placeholder on a page',
    () => write('docs/pins.md', 'See https://github.com/OWNER/write-pinning.'),
    'docs/pins.md holds a placeholder (github.com/OWNER)',
  ],
  [
    'a placeholder for the address to report to',
    () => write('SECURITY.md', 'security@OWNER.example'),
    'SECURITY.md holds a placeholder (@OWNER.example)',
  ],
  ['no SECURITY.md', () => rmSync(path.join(root, 'SECURITY.md')), 'SECURITY.md is missing'],
  ['a private package', () => Object.assign(manifest, { private: true }), 'package.json says "private"'],
  [
    'a version that is none',
    () => {
      Object.assign(manifest, { version: '1.2' })
      write('package-lock.json', '{ "version": "1.2" }')
      write('CHANGELOG.md', changeLog(`## [1.2] - ${today}\n\n- News.\n`))
    },
    'the version 1.2 is none',
  ],
  [
    'another version in package-lock.json',
    () => write('package-lock.json', '{ "version": "1.1.0" }'),
    'package-lock.json has version 1.1.0, package.json 1.2.0',
  ],
  [
    'a change log that has Unreleased only',
    () => write('CHANGELOG.md', changeLog('')),
    'CHANGELOG.md has no section for 1.2.0',
  ],
  [
    'a change log without a date',
    () => write('CHANGELOG.md', changeLog('## [1.2.0] - not yet released\n\n- News.\n')),
    'CHANGELOG.md gives 1.2.0 no date',
  ],
  [
    'a change log with a date that does not exist',
    () => write('CHANGELOG.md', changeLog('## [1.2.0] - 2026-13-01\n\n- News.\n')),
    'CHANGELOG.md gives 1.2.0 no date',
  ],
  [
    'a change log that is dated in the future',
    () => write('CHANGELOG.md', changeLog('## [1.2.0] - 2999-01-01\n\n- News.\n')),
    'CHANGELOG.md dates 1.2.0 2999-01-01, which is to come',
  ],
  [
    'a change log that says nothing of the version',
    () => write('CHANGELOG.md', changeLog(`## [1.2.0] - ${today}\n`)),
    'CHANGELOG.md does not say what is in 1.2.0',
  ],
  [
    'entries that are still under Unreleased',
    () => write('CHANGELOG.md', `## [Unreleased]\n\n- More.\n\n## [1.2.0] - ${today}\n\n- News.\n`),
    'CHANGELOG.md has entries under Unreleased',
  ],
  ['no licence', () => rmSync(path.join(root, 'LICENSE')), 'LICENSE is missing'],
  [
    'another licence in package.json',
    () => Object.assign(manifest, { license: 'ISC' }),
    'LICENSE and the "license" of package.json (ISC) do not say the same',
  ],
  [
    'a README of more than 200 lines',
    () => write('README.md', 'A line.\n'.repeat(201)),
    'README.md has 201 lines, 200 at most',
  ],
  [
    'lint that fails',
    () => Object.assign(manifest.scripts as object, { lint: 'exit 1' }),
    'npm run lint has failed',
  ],
  [
    'types that do not hold',
    () => Object.assign(manifest.scripts as object, { typecheck: 'exit 1' }),
    'npm run typecheck has failed',
  ],
  [
    'a package that publint or attw refuses',
    () => Object.assign(manifest.scripts as object, { 'check:pack': 'exit 1' }),
    'npm run check:pack has failed',
  ],
]

it.each(unready)('refuses %s', async (_name, change, problem) => {
  change()
  commit()
  expect(await problemsFound()).toEqual([expect.stringContaining(problem)])
})

it('refuses what is not committed', async () => {
  commit()
  write('forgotten.md', '')
  expect(await problemsFound()).toEqual([
    expect.stringContaining('there are changes that are not committed: ?? forgotten.md'),
  ])
})

it('refuses another branch than main', async () => {
  commit()
  git('switch', '--quiet', '--create', 'feature')
  expect(await problemsFound()).toEqual([expect.stringContaining('this is the branch feature')])
})

it('refuses a version whose tag is there', async () => {
  commit()
  git('tag', 'v1.2.0')
  expect(await problemsFound()).toEqual([expect.stringContaining('the tag v1.2.0 is there already')])
})

it('refuses a commit on which the tests have not passed', async () => {
  commit()
  write('CHANGELOG.md', changeLog(`## [1.2.0] - ${today}\n\n- Other news.\n`))
  git('commit', '--quiet', '--all', '--message', 'Untested')
  expect(await problemsFound()).toEqual([expect.stringContaining('the tests have not passed on this commit')])
})

it('does not take tests for passed that ran on what is not committed', async () => {
  commit(false)
  write('README.md', '# Another\n')
  remember()
  git('checkout', '--quiet', 'README.md')
  expect(await problemsFound()).toEqual([expect.stringContaining('the tests have not passed on this commit')])
})

it('names all that is wrong at once', async () => {
  write('README.md', 'A line.\n'.repeat(201))
  write('CHANGELOG.md', '')
  commit(false)
  expect(await problemsFound()).toHaveLength(3)
})

it('is what npm publish runs first', async () => {
  const { scripts } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
  expect(scripts).toMatchObject({
    prepublishOnly: 'npm run check:release',
    'check:release': 'node scripts/check-release.js',
  })
})

function changeLog(section: string): string {
  return `# Change log\n\n## [Unreleased]\n\n${section}\n## [1.1.0] - 2026-01-01\n\n- Old news.\n`
}

function write(file: string, content: string): void {
  mkdirSync(path.dirname(path.join(root, file)), { recursive: true })
  writeFileSync(path.join(root, file), content)
}

/** Commits all there is, and says that the tests passed on it. */
function commit(havePassed = true): void {
  write('package.json', JSON.stringify(manifest))
  git('add', '--all')
  git('commit', '--quiet', '--message', 'All')
  if (havePassed) remember()
}

/** What `.ci/run` ends with. */
function remember(): void {
  execFileSync(process.execPath, [script('passed-tree'), 'remember'], { cwd: root })
}

function git(...args: string[]): void {
  const identity = ['-c', 'user.name=Tester', '-c', 'user.email=tester@write-pinning.example']
  execFileSync('git', [...identity, ...args], { cwd: root, stdio: 'pipe' })
}

/** The lines that say what is wrong; all of a check that refuses must be such lines. */
async function problemsFound(): Promise<string[]> {
  return (await check()).split('\n').filter((line) => line.startsWith('✗'))
}

/** What `npm publish` asks before it does anything: what it prints, whether it refuses or not. */
function check(): Promise<string> {
  return new Promise((resolve) => {
    execFile(process.execPath, [script('check-release')], { cwd: root }, (error, stdout, stderr) => {
      const isRefused = stderr.includes('is not ready to be published')
      resolve(isRefused === (error?.code === 1) ? stdout + stderr : `exit code ${error?.code}: ${stderr}`)
    })
  })
}
