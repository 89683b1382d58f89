import { createHash } from 'node:crypto'
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { cp, symlink } from 'node:fs/promises'
import path from 'node:path'
import { canReach } from './can-reach.ts'
import { clusterError } from './cluster-error.ts'
import { type EmbeddedPostgres, embeddedPostgresOf, findEmbeddedPostgres } from './embedded-postgres.ts'
import { sharedDirectory } from './shared-directory.ts'
import type { ServerUser } from './unprivileged-user.ts'

/** The two programs that a cluster needs. */
export interface Binaries {
  initdb: string
  postgres: string
}

/** The user that runs the programs, and where a copy of them may be kept. */
export interface BinariesPlace {
  user: ServerUser | undefined
  temporaryRoot: string
  clusterDirectory: string
}

/** Finds PostgreSQL's programs, where the servers' user can run them. */
export async function findBinaries(
  binDirectory: string | undefined,
  place: BinariesPlace,
): Promise<Binaries> {
  const embedded = binDirectory === undefined ? findEmbeddedPostgres() : embeddedPostgresOf(binDirectory)
  if (embedded === undefined) return programsIn(path.resolve(binDirectory ?? ''))
  const programs = programsIn(path.join(embedded.directory, 'native', 'bin'))
  if (hasLinks(embedded) && canReach(programs.postgres, place.user)) return programs
  // Links are missing if npm has not run the package's install script. And the servers' user cannot enter a project
  // that only root may enter (/root/project). A copy helps in both cases.
  const copy = await sharedDirectory({
    ...place,
    name: `postgres-${embedded.version}-${fingerprint(programs.postgres)}`,
    fill: (directory) => copyWithLinks(embedded, directory),
  })
  return programsIn(path.join(copy, 'native', 'bin'))
}

/**
 * A name for what is made with a program in a certain way (the recipe). It depends on the size of the program and its
 * first bytes, where linkers put the id of a build. It does not depend on path or time, so all checkouts share one
 * copy.
 */
export function fingerprint(program: string, recipe: readonly string[] = []): string {
  const file = openSync(program, 'r')
  try {
    const head = Buffer.alloc(HEAD_BYTES)
    const length = readSync(file, head, 0, HEAD_BYTES, 0)
    const hash = createHash('sha256').update(head.subarray(0, length))
    return hash
      .update(JSON.stringify([fstatSync(file).size, ...recipe]))
      .digest('hex')
      .slice(0, 16)
  } finally {
    closeSync(file)
  }
}

const HEAD_BYTES = 65_536

function programsIn(binDirectory: string): Binaries {
  const programs = {
    initdb: path.join(binDirectory, 'initdb'),
    postgres: path.join(binDirectory, 'postgres'),
  }
  const missing = Object.values(programs).find((program) => !existsSync(program))
  if (missing) throw clusterError(`there is no ${missing}: binDirectory must hold initdb and postgres`)
  return programs
}

function hasLinks({ directory, links }: EmbeddedPostgres): boolean {
  return links.every(({ target }) => existsSync(path.join(directory, target)))
}

async function copyWithLinks({ directory, links }: EmbeddedPostgres, copy: string): Promise<void> {
  await cp(path.join(directory, 'native'), path.join(copy, 'native'), {
    recursive: true,
    verbatimSymlinks: true,
    // Leaves out the static libraries, which only compilers need.
    filter: (source) => !source.endsWith('.a'),
  })
  for (const { source, target } of links) {
    const link = path.join(copy, target)
    if (!existsSync(link)) await symlink(path.relative(path.dirname(target), source), link)
  }
}
