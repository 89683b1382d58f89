import { defineConfig } from 'vitest/config'
import base from './vitest.config.ts'

/**
 * The tests that break things, mostly while a load goes on, and those of the tools they do it with. What must hold is
 * said in seconds, so that they run one file at a time; and a bound that was missed is not given a second chance.
 */
export default defineConfig({
  ...base,
  test: {
    ...base.test,
    include: ['test/faults/**/*.test.ts'],
    exclude: ['**/node_modules/**'],
    fileParallelism: false,
    retry: 0,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
})
