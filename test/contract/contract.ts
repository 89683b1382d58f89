import { afterEach, describe } from 'vitest'
import type { App, Framework, Served } from './framework.ts'
import { frameworks } from './frameworks.ts'

/** Starts an application, which ends with its test. */
export type Serve = (app: App) => Promise<Served>

/** Holds each framework to the same tests. */
export function contract(tests: (serve: Serve, framework: Framework) => void): void {
  describe.each(frameworks)('over $name', (framework) => {
    const open: Served[] = []
    afterEach(async () => {
      for (const served of open.splice(0)) await served.close()
    })
    tests(async (app) => {
      const served = await framework.serve(app)
      open.push(served)
      return served
    }, framework)
  })
}
