import { execFileSync } from 'node:child_process'

export function git(root, ...args) {
  return execFileSync('git', args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim()
}

/** What is not committed; ignored files do not count. */
export function changedFiles(root) {
  return git(root, 'status', '--porcelain').split('\n').filter(Boolean)
}
