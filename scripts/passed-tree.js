/**
 * Remembers that all tests have passed on what is committed, and asks so later. A commit is known by its tree: another message, or a
 * merge that changes nothing, needs no second run.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { changedFiles, git } from './git.js'

const FILE = 'node_modules/.cache/write-pinning/passed-tree'

export function rememberPassed(root) {
  const file = path.join(root, FILE)
  mkdirSync(path.dirname(file), { recursive: true })
  writeFileSync(file, committedTree(root))
}

export function hasPassed(root) {
  try {
    return readFileSync(path.join(root, FILE), 'utf8') === committedTree(root)
  } catch {
    return false
  }
}

function committedTree(root) {
  return git(root, 'rev-parse', 'HEAD^{tree}')
}

// `.ci/run` ends with this.
if (process.argv[2] === 'remember') {
  const changed = changedFiles(process.cwd())
  if (changed.length === 0) rememberPassed(process.cwd())
  else console.log(`Not remembered for a release, since these files are not committed: ${changed.join(', ')}`)
}
