import { afterAll, afterEach, beforeEach } from 'vitest'

/**
 * Takes a function that ends something. What a test opens ends after that test. What was opened earlier ends after
 * the last test.
 */
export type AtEnd = (end: () => unknown) => void

/**
 * Ends everything that a file or a suite opens, the latest first. An end that fails does not keep the others from
 * running.
 * @example
 * const atEnd = useEnds()
 * atEnd(() => server.close())
 */
export function useEnds(): AtEnd {
  const ofTest: Ends = []
  const ofSuite: Ends = []
  let opened = ofSuite

  beforeEach(() => {
    opened = ofTest
  })
  afterEach(async () => {
    opened = ofSuite
    await endAll(ofTest)
  })
  afterAll(() => endAll(ofSuite))

  return (end) => {
    opened.push(end)
  }
}

type Ends = (() => unknown)[]

async function endAll(ends: Ends): Promise<void> {
  const errors: unknown[] = []
  for (let end = ends.pop(); end !== undefined; end = ends.pop()) {
    try {
      await end()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors.length === 1 ? errors[0] : new AggregateError(errors)
}
