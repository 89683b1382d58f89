import { readFileSync, statfsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { configDefaults, defineConfig } from 'vitest/config'

const src = (path: string) => fileURLToPath(new URL(`./src/${path}`, import.meta.url))

const otherPostgres = fileURLToPath(new URL('./test/support/testing-on-other-postgres.ts', import.meta.url))

/**
 * The servers of the tests live in memory where there is plenty of it, which some file systems repay tenfold. In a
 * container `/dev/shm` is often small, and nothing may be run from it.
 */
function temporaryDirectory(): Record<string, string> {
  try {
    const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
    const memory = mounts.find((line) => line.split(' ')[1] === '/dev/shm') ?? 'noexec'
    const { bavail, bsize } = statfsSync('/dev/shm')
    return memory.includes('noexec') || bavail * bsize < 4e9 ? {} : { TMPDIR: '/dev/shm' }
  } catch {
    return {}
  }
}

export default defineConfig({
  resolve: {
    // The tests import the package by its public names, as its users do, and run the sources.
    alias: [
      { find: /^write-pinning$/, replacement: src('index.ts') },
      // `npm run test:postgres` runs them on another version of PostgreSQL.
      ...(process.env.POSTGRES_BIN ? [{ find: /^write-pinning\/testing$/, replacement: otherPostgres }] : []),
      { find: /^write-pinning\/(\w+)$/, replacement: src('$1/index.ts') },
    ],
  },
  test: {
    include: ['test/**/*.test.ts'],
    // They have configurations of their own, and need programs that npm does not bring, or the network.
    exclude: [...configDefaults.exclude, 'test/faults/**', 'test/toolchains/**'],
    env: temporaryDirectory(),
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
})
