import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import path from 'node:path'
import { type Binaries, type BinariesPlace, fingerprint } from './binaries.ts'
import { clusterError } from './cluster-error.ts'
import { sharedDirectory } from './shared-directory.ts'
import { makeTailSparse } from './sparse.ts'
import type { Supervisor } from './supervisor.ts'
import {
  HEAD_BYTES,
  identifyControlFile,
  identifySegment,
  newSystemIdentifier,
  readHead,
} from './system-identifier.ts'
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

const CONTROL_FILE = path.join('global', 'pg_control')

// Writes the beginnings of some files of a data directory over, and leaves the rest of them as it is.
const COPY_WITH_HEADS = `
template=$1 heads=$2 to=$3; shift 3
cp -R "$template/." "$to" || exit
for file; do dd if="$heads/\${file##*/}" of="$to/$file" bs=${HEAD_BYTES} conv=notrunc || exit; done`

/** A data directory to copy from. */
export interface DataTemplate {
  directory: string
  majorVersion: number
  /** The beginnings of the files that say of which cluster they are, for the cluster at hand; its files by their names. */
  heads: { directory: string; files: readonly string[] }
}

/**
 * Gives a fresh data directory, which is made once by `initdb` (half a second) and then copied, and what in the copies
 * is this cluster's own: a system identifier that no other cluster has.
 */
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
  return { directory: data, majorVersion, heads: ownHeads(data, path.join(place.clusterDirectory, 'heads')) }
}

/** Writes down how the files begin that hold the system identifier, with a new one in them. */
function ownHeads(template: string, directory: string): DataTemplate['heads'] {
  const identifier = newSystemIdentifier()
  const control = readHead(path.join(template, CONTROL_FILE))
  const former = identifyControlFile(control, identifier)
  const heads = new Map([[CONTROL_FILE, control]])
  for (const file of walSegments(template)) {
    const segment = readHead(file)
    identifySegment(segment, former, identifier)
    heads.set(path.relative(template, file), segment)
  }
  mkdirSync(directory)
  for (const [file, head] of heads) writeReadable(path.join(directory, path.basename(file)), head)
  chmodSync(directory, 0o755)
  return { directory, files: [...heads.keys()] }
}

function writeReadable(file: string, bytes: DataView): void {
  writeFileSync(file, bytes)
  chmodSync(file, 0o644)
}

/**
 * Makes a data directory from a template. The programs that do so run as the servers' user: as root, this process would
 * write through links that this user may have put there.
 */
export async function copyTemplate(
  supervisor: Supervisor,
  template: DataTemplate,
  to: string,
  user: ServerUser | undefined,
): Promise<void> {
  makePrivateDirectory(to, user)
  const { directory, heads } = template
  const args = ['copy', directory, heads.directory, to, ...heads.files]
  await runOrThrow(supervisor, 'sh', ['-c', COPY_WITH_HEADS, ...args])
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
