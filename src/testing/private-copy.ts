import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, mkdirSync, renameSync } from 'node:fs'
import { cp, symlink } from 'node:fs/promises'
import path from 'node:path'
import type { BinariesSearch, EmbeddedPostgres } from './binaries.ts'

/**
 * Copies the binaries to where the servers' user can run them, with their library links, and gives the copy's
 * directory: one in the temporary directory that later runs share, made once.
 */
export async function privateCopy(
  { directory, name, version, links }: EmbeddedPostgres,
  { temporaryRoot, clusterDirectory }: BinariesSearch,
): Promise<string> {
  const key = createHash('sha256').update(`${name} ${version} ${directory}`).digest('hex').slice(0, 16)
  const cached = path.join(temporaryRoot, `write-pinning-postgres-${process.getuid?.()}-${version}-${key}`)
  if (isOurs(cached)) return cached

  // In the cluster's directory, so that a copy that is cut short goes away with it.
  const copy = path.join(clusterDirectory, 'binaries')
  mkdirSync(copy)
  await cp(path.join(directory, 'native'), path.join(copy, 'native'), {
    recursive: true,
    filter: (source) => !source.endsWith('.a'),
  })
  for (const { source, target } of links) {
    await symlink(path.basename(source), path.join(copy, target)).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error
    })
  }
  chmodSync(copy, 0o755)
  try {
    renameSync(copy, cached)
    return cached
  } catch {
    // Another process was faster, or another user holds that name: then our own copy will do for this cluster.
    return isOurs(cached) ? cached : copy
  }
}

/** Nothing is run from a directory that someone else made, or can write to. */
function isOurs(directory: string): boolean {
  const stats = lstatSync(directory, { throwIfNoEntry: false })
  return stats?.isDirectory() === true && stats.uid === process.getuid?.() && (stats.mode & 0o022) === 0
}
