/**
 * Refuses to publish what is not ready: `npm publish` runs this first. It prints every problem at once, each with what to do.
 * RELEASING.md is the same list for people.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { changedFiles, git } from './git.js'
import { hasPassed } from './passed-tree.js'

/** Written where the project does not know its home yet. */
const PLACEHOLDER = /github\.com\/OWNER\b|@OWNER\.example/
const README_LINES = 200
/** What is run here, and not only by `.ci/run`, because it looks at the installed tools and at the packed file. */
const COMMANDS = ['lint', 'typecheck', 'check:pack']

const root = process.cwd()
const manifest = JSON.parse(read('package.json'))

const problems = [
  ...homes(),
  ...placeholders(),
  ...versions(),
  ...changeLog(),
  ...licence(),
  ...readme(),
  ...repository(),
]
// They take a minute.
if (problems.length === 0) problems.push(...commands())

for (const problem of problems) console.error(`✗ ${problem}`)
if (problems.length > 0) {
  console.error(
    `\n${manifest.name} ${manifest.version} is not ready to be published. RELEASING.md says how to make it so.`,
  )
  process.exit(1)
}
console.log(`✓ ${manifest.name} ${manifest.version} is ready to be published.`)

function placeholders() {
  const files = git(root, 'ls-files', '*.json', '*.md', 'llms.txt', 'docs', '.github').split('\n')
  return (
    files
      // It explains what a placeholder is.
      .filter(
        (file) =>
          file !== 'RELEASING.md' && existsSync(path.join(root, file)) && PLACEHOLDER.test(read(file)),
      )
      .map(
        (file) => `${file} holds a placeholder (${PLACEHOLDER.exec(read(file))[0]}): write the real address`,
      )
  )
}

function homes() {
  const home = { homepage: manifest.homepage, bugs: manifest.bugs?.url, repository: manifest.repository?.url }
  const missing = Object.keys(home).filter((name) => !home[name])
  const found = missing.map((name) => `package.json has no ${name}: write where the package lives`)
  if (!existsSync(path.join(root, 'SECURITY.md'))) found.push('SECURITY.md is missing')
  return found
}

function versions() {
  const { version } = manifest
  const found = []
  if (manifest.private) found.push('package.json says "private": take that out')
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    found.push(`the version ${version} is none: use major.minor.patch`)
  const locked = JSON.parse(read('package-lock.json')).version
  if (locked !== version)
    found.push(`package-lock.json has version ${locked}, package.json ${version}: run npm install`)
  return found
}

function changeLog() {
  const sections = read('CHANGELOG.md').split(/^## /m).slice(1)
  const { version } = manifest
  const unreleased = sections.find((section) => /^\[?Unreleased\]?/i.test(section))
  const own = sections.find((section) => section.startsWith(`[${version}]`))
  if (own === undefined)
    return [`CHANGELOG.md has no section for ${version}: write "## [${version}] - ${today()}"`]
  const [heading, ...lines] = own.split('\n')
  const date = /^\[[^\]]+\] - (\d{4}-\d\d-\d\d)$/.exec(heading.trim())?.[1]
  const found = []
  if (date === undefined || Number.isNaN(Date.parse(date)))
    found.push(`CHANGELOG.md gives ${version} no date: write "## [${version}] - ${today()}"`)
  else if (date > today()) found.push(`CHANGELOG.md dates ${version} ${date}, which is to come`)
  if (!lines.some(isEntry)) found.push(`CHANGELOG.md does not say what is in ${version}`)
  if (unreleased?.split('\n').some(isEntry))
    found.push(
      `CHANGELOG.md has entries under Unreleased: move them to ${version}, for they are published with it`,
    )
  return found
}

function isEntry(line) {
  return /^[-*] /.test(line)
}

function today() {
  return new Date().toISOString().slice(0, 10)
}

function licence() {
  if (!existsSync(path.join(root, 'LICENSE'))) return ['LICENSE is missing']
  const isSame = manifest.license === 'MIT' && read('LICENSE').startsWith('MIT License')
  return isSame ? [] : [`LICENSE and the "license" of package.json (${manifest.license}) do not say the same`]
}

function readme() {
  const lines = read('README.md').trimEnd().split('\n').length
  return lines <= README_LINES
    ? []
    : [`README.md has ${lines} lines, ${README_LINES} at most: move details to docs/`]
}

function repository() {
  const tag = `v${manifest.version}`
  const found = []
  const changed = changedFiles(root)
  if (changed.length > 0) found.push(`there are changes that are not committed: ${changed.join(', ')}`)
  const branch = git(root, 'branch', '--show-current')
  if (branch !== 'main')
    found.push(`this is ${branch === '' ? 'no branch' : `the branch ${branch}`}: releases are made on main`)
  if (git(root, 'tag', '--list', tag) !== '') found.push(`the tag ${tag} is there already: raise the version`)
  if (!hasPassed(root)) found.push('the tests have not passed on this commit: run .ci/run')
  return found
}

function commands() {
  return COMMANDS.filter((name) => {
    console.log(`npm run ${name} …`)
    const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', name], {
      cwd: root,
      encoding: 'utf8',
    })
    if (status !== 0) console.error(`${stdout}${stderr}`)
    return status !== 0
  }).map((name) => `npm run ${name} has failed: mend what it says above`)
}

function read(file) {
  return readFileSync(path.join(root, file), 'utf8')
}
