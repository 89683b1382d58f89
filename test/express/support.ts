import express5, { type Express } from 'express'
import express4 from 'express4'
import { describe } from 'vitest'
import { useEnds } from '../support/ends.ts'
import type { UserAgent } from '../support/http.ts'
import { listening } from '../support/listening.ts'

/** Starts an application of Express's, which ends with its test, and gives a user agent for it. */
export type Serve = (app: Express) => Promise<UserAgent>

/** Runs the same tests over each version of Express. */
export function overEachExpress(tests: (express: typeof express5, serve: Serve) => void): void {
  const versions: [string, typeof express5][] = [
    ['4', express4],
    ['5', express5],
  ]
  describe.each(versions)('over Express %s', (_version, express) => {
    const listen = listening(useEnds())
    tests(express, async (app) => (await listen(app))())
  })
}
