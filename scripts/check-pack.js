/**
 * Packs the package once and checks the file: that it holds what it should and nothing else, that its manifest is right
 * (publint), and that its types are found under every kind of module resolution (Are the Types Wrong, all rules). Needs no network.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { npm } from './npm.js'

const MUST_HOLD = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'llms.txt',
  'dist/index.js',
  'dist/cjs/index.js',
]
const MAY_HOLD = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md|llms\.txt)$/,
  /^dist\/[\w/-]+\.(js|d\.ts)$/,
  /^dist\/cjs\/package\.json$/,
  /^docs\/[\w/-]+\.md$/,
]

const root = process.cwd()
const directory = mkdtempSync(path.join(tmpdir(), 'write-pinning-pack-'))
try {
  const output = npm(['pack', '--json', '--pack-destination', directory], root)
  const [packed] = JSON.parse(output.slice(output.indexOf('[\n')))
  const file = path.join(directory, packed.filename)
  checkFiles(packed.files.map((entry) => entry.path))
  run('publint/src/cli.js', ['run', file, '--strict'])
  run('@arethetypeswrong/cli/dist/index.js', [
    file,
    '--no-definitely-typed',
    '--no-emoji',
    '--format',
    'table-flipped',
  ])
  console.log(
    `${packed.files.length} files, ${Math.round(packed.size / 1024)} KB packed, ${Math.round(packed.unpackedSize / 1024)} KB unpacked.`,
  )
} catch (error) {
  // What the tools found, they have printed.
  if (error.status === undefined) console.error(error.message)
  process.exitCode = 1
} finally {
  rmSync(directory, { recursive: true, force: true })
}

function checkFiles(files) {
  const missing = MUST_HOLD.filter((file) => !files.includes(file))
  const junk = files.filter((file) => !MAY_HOLD.some((pattern) => pattern.test(file)))
  if (missing.length > 0) throw new Error(`The package lacks ${missing.join(', ')}.`)
  if (junk.length > 0) throw new Error(`The package holds what it should not: ${junk.join(', ')}.`)
}

function run(program, args) {
  execFileSync(process.execPath, [path.join(root, 'node_modules', program), ...args], { stdio: 'inherit' })
}
