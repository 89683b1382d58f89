import { existsSync } from 'node:fs'

const KNOWN_PLACES = [
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
  '/usr/bin/google-chrome-stable',
  '/snap/bin/chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
]

/**
 * The path of an installed Chromium, `CHROMIUM_PATH` before the usual places. Where there is none it says so; in CI
 * it throws, for a test that is silently skipped there would be no test.
 */
export function findBrowser(): string | undefined {
  const { CHROMIUM_PATH, CI } = process.env
  const path = [CHROMIUM_PATH, ...KNOWN_PLACES].find((candidate) => candidate && existsSync(candidate))
  if (path !== undefined) return path

  const message = 'No Chromium was found: install one, or set CHROMIUM_PATH to one.'
  if (CI) throw new Error(message)
  console.warn(`${message} The tests of the example that need a browser are skipped.`)
  return undefined
}
