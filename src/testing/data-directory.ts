import { chownSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import path from 'node:path'
import { type Binaries, type BinariesPlace, fingerprint } from './binaries.ts'
import { clusterError } from './cluster-error.ts'
import { sharedDirectory } from './shared-directory.ts'
import { makeTailSparse } from './sparse.ts'
import type { Supervisor } from './supervisor.ts'
import type { ServerUser } from './unprivileged-user.ts'

/** The database that every template has, so that a cluster need not wait for one to be made and replicated. */
export const TEMPLATE_DATABASE = 'test'

const INITDB = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']

// A replica refuses to start with a lower limit than the one in its data directory, which is the last that ran there:
// so the template ends with the lowest that PostgreSQL takes, and the caller's settings are free.
const SETTINGS = [
  ...['-c', 'fsync=off'],
  ...['-c', 'max_connections=5'],
  ...['-c', 'max_worker_processes=0'],
  ...['-c', 'max_wal_senders=0'],
  ...['-c', 'max_prepared_transactions=0'],
  ...['-c', 'max_locks_per_transaction=10'],
  ...['-c', 'wal_recycle=off'],
  ...['-c', 'min_wal_size=32MB'],
]

// The last two leave the WAL of all that behind, in a segment that the checkpoint removes: it need not be copied.
const STATEMENTS = `create database ${TEMPLATE_DATABASE};
select pg_switch_wal();
checkpoint;
`

/** A data directory to copy from. */
export interface DataTemplate {
  directory: string
  majorVersion: number
}

/** Gives a fresh data directory, which is made once by `initdb` (half a second) and then copied. */
export async function dataTemplate(
  supervisor: Supervisor,
  binaries: Binaries,
  place: BinariesPlace,
): Promise<DataTemplate> {
  const directory = await sharedDirectory({
    ...place,
    name: `data-${fingerprint(binaries.postgres, [...INITDB, ...SETTINGS, STATEMENTS])}`,
    async fill(template) {
      const fresh = path.join(place.clusterDirectory, 'fresh')
      makePrivateDirectory(fresh, place.user)
      await initialize(supervisor, binaries, fresh)
      // Copied by this process: what later runs trust must not belong to the servers' user.
      const data = path.join(template, 'data')
      await cp(fresh, data, { recursive: true })
      for (const segment of walSegments(data)) makeTailSparse(segment)
    },
  })
  const data = path.join(directory, 'data')
  const majorVersion = Number.parseInt(readFileSync(path.join(data, 'PG_VERSION'), 'utf8'), 10)
  return { directory: data, majorVersion }
}

/** Makes a data directory from a template. */
export async function copyTemplate(
  supervisor: Supervisor,
  template: DataTemplate,
  to: string,
  user: ServerUser | undefined,
): Promise<void> {
  makePrivateDirectory(to, user)
  await runOrThrow(supervisor, 'cp', ['-R', `${template.directory}/.`, to])
}

/** PostgreSQL insists that its data belong to the user who runs it, and that no other may enter. */
function makePrivateDirectory(directory: string, user: ServerUser | undefined): void {
  mkdirSync(directory, 0o700)
  if (user) chownSync(directory, user.uid, user.gid)
}

async function initialize(supervisor: Supervisor, { initdb, postgres }: Binaries, to: string): Promise<void> {
  await runOrThrow(supervisor, initdb, [`--pgdata=${to}`, ...INITDB])
  await runOrThrow(supervisor, postgres, ['--single', ...SETTINGS, '-D', to, 'postgres'], STATEMENTS)
}

function walSegments(dataDirectory: string): string[] {
  const directory = path.join(dataDirectory, 'pg_wal')
  return readdirSync(directory)
    .filter((name) => /^[0-9A-F]{24}$/.test(name))
    .map((name) => path.join(directory, name))
}

async function runOrThrow(
  supervisor: Supervisor,
  command: string,
  args: readonly string[],
  input = '',
): Promise<void> {
  const logFile = path.join(supervisor.directory, `${path.basename(command)}.log`)
  const code = await supervisor.run({ command, args, input, logFile })
  if (code !== 0) throw clusterError(`${command} failed (exit code ${code}):\n${logTail(logFile)}`)
}

/** The last lines of a log, for an error that says why a server did not start. */
export function logTail(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n')
  } catch {
    return '(there is no log)'
  }
}
