import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'

/** Where a shared directory is kept, and how it is made. */
export interface SharedDirectory {
  name: string
  /** The system's temporary directory, where later runs find it again. */
  temporaryRoot: string
  /** The cluster's own directory, which is removed with the cluster. So half-made directories in it go too. */
  clusterDirectory: string
  fill: (directory: string) => Promise<void>
}

const MANIFEST = 'manifest.json'

/**
 * Gives a directory that is made once and then shared by all runs. If that is not possible, it makes one for this
 * cluster alone.
 *
 * Two processes may do this at once: a directory gets its name by one rename, when it is complete. It does not use a
 * directory that another user could have made or changed, nor one that has lost files because the system removes old
 * temporary files.
 */
export async function sharedDirectory(wanted: SharedDirectory): Promise<string> {
  const shared = path.join(wanted.temporaryRoot, `write-pinning-${process.getuid?.()}-${wanted.name}`)
  if (isIntact(shared)) return shared
  const own = path.join(wanted.clusterDirectory, wanted.name)
  mkdirSync(own)
  await wanted.fill(own)
  seal(own)
  if (isOurs(shared) && !isIntact(shared)) moveAside(shared, `${own}-old`)
  try {
    renameSync(own, shared)
    return shared
  } catch {
    // Another process was faster, or the name belongs to another user.
    return isIntact(shared) ? shared : own
  }
}

function moveAside(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch {
    // Another process also found it damaged, and was faster.
  }
}

/** Lets the servers' user read all files, whatever their modes were, and writes a list of them to the manifest. */
function seal(directory: string): void {
  const entries = entriesOf(directory)
  for (const [name, size] of entries) {
    const entry = path.join(directory, name)
    const { mode } = lstatSync(entry)
    if (size === null) chmodSync(entry, 0o755)
    else if (size >= 0) chmodSync(entry, mode & 0o100 ? 0o755 : 0o644)
  }
  writeFileSync(path.join(directory, MANIFEST), JSON.stringify(entries))
  chmodSync(directory, 0o755)
}

function isIntact(directory: string): boolean {
  if (!isOurs(directory)) return false
  try {
    const manifest = readFileSync(path.join(directory, MANIFEST), 'utf8')
    const held = entriesOf(directory).filter(([name]) => name !== MANIFEST)
    return manifest === JSON.stringify(held)
  } catch {
    return false
  }
}

function isOurs(directory: string): boolean {
  const stats = lstatSync(directory, { throwIfNoEntry: false })
  return stats?.isDirectory() === true && stats.uid === process.getuid?.() && (stats.mode & 0o022) === 0
}

/** Every path below a directory with its file's size; null for a directory, -1 for a link. */
function entriesOf(directory: string): [name: string, size: number | null][] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .map((entry): [string, number | null] => {
      const full = path.join(entry.parentPath, entry.name)
      const size = entry.isDirectory() ? null : entry.isSymbolicLink() ? -1 : lstatSync(full).size
      return [path.relative(directory, full), size]
    })
    .sort(([a], [b]) => (a < b ? -1 : 1))
}
