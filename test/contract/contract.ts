import { describe } from 'vitest'
import { useEnds } from '../support/ends.ts'
import type { App, Framework, Served } from './framework.ts'
import { frameworks } from './frameworks.ts'

/** Starts an application, which ends with its test. */
export type Serve = (app: App) => Promise<Served>

/** Holds each framework to the same tests. */
export function contract(tests: (serve: Serve, framework: Framework) => void): void {
  describe.each(frameworks)('over $name', (framework) => {
    const atEnd = useEnds()
    tests(async (app) => {
      const served = await framework.serve(app)
      atEnd(() => served.close())
      return served
    }, framework)
  })
}
