import { realpathSync } from 'node:fs'
import { canReach } from './can-reach.ts'
import { clusterError } from './cluster-error.ts'
import type { ServerUser } from './unprivileged-user.ts'

/**
 * Where clusters may keep their directories: the temporary directory, or `/tmp` if the servers' user cannot enter it.
 */
export function temporaryRoot(preferred: string, user: ServerUser | undefined): string {
  const root = [preferred, '/tmp'].map(realPath).find((directory) => directory && canReach(directory, user))
  if (root === undefined) {
    throw clusterError(
      `the user who runs the servers cannot enter ${preferred}: set TMPDIR to where all may enter`,
    )
  }
  return root
}

function realPath(directory: string): string | undefined {
  try {
    return realpathSync(directory)
  } catch {
    return undefined
  }
}
