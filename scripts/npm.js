import { execFileSync } from 'node:child_process'

// What `npm run` tells its scripts of itself would send another npm to this repository.
const OF_SCRIPT = /^npm_(package|lifecycle|command|execpath|config_(local_)?prefix)/

/** Runs npm in a directory and gives what it printed; its errors and warnings are shown. */
export function npm(args, cwd) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !OF_SCRIPT.test(name)))
  return execFileSync('npm', args, { cwd, env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
}
