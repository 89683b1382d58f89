import { accessSync, constants, statSync } from 'node:fs'
import path from 'node:path'
import type { ServerUser } from './unprivileged-user.ts'

/** Whether the servers' user may run or enter `target`, and enter every directory on the way to it. */
export function canReach(target: string, user: ServerUser | undefined): boolean {
  if (user === undefined) return canReachMyself(target)
  const parent = path.dirname(target)
  return mayEnter(target, user) && (parent === target || canReach(parent, user))
}

function canReachMyself(target: string): boolean {
  try {
    accessSync(target, constants.X_OK)
    return true
  } catch {
    return false
  }
}

// Node.js can only check the rights of this process, and root may do everything. So the mode of the directory
// decides.
function mayEnter(target: string, { uid, gid }: ServerUser): boolean {
  const stats = statSync(target)
  if (stats.uid === uid) return (stats.mode & 0o100) !== 0
  if (stats.gid === gid) return (stats.mode & 0o010) !== 0
  return (stats.mode & 0o001) !== 0
}
