import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

/** The packed package under the compilers and test runners of others, which are installed anew: that takes the network and a while. */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/toolchains/**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    fileParallelism: false,
    retry: 0,
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
})
