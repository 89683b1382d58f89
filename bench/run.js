/**
 * Runs all benchmarks, or the named ones: `npm run bench`, `npm run bench -- routing`. Each prints its tables of
 * README.md.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ALL = ['classify', 'linear', 'routing', 'pool', 'fastify', 'exact', 'asked', 'gate', 'settings']
/** Benchmarks that take long to prepare. They run only by name. */
const BY_HAND = ['catalog']
const named = process.argv.slice(2)

for (const name of named) {
  if (!ALL.includes(name) && !BY_HAND.includes(name))
    throw new Error(`There is no benchmark '${name}'; there are: ${[...ALL, ...BY_HAND].join(', ')}.`)
}

for (const name of named.length > 0 ? named : ALL) {
  const script = fileURLToPath(new URL(`./${name}.js`, import.meta.url))
  const { status } = spawnSync(process.execPath, ['--expose-gc', script], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
