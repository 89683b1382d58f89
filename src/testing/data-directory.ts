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

/** The database that every template has. So a cluster need not make a database and wait until it is replicated. */
export const TEMPLATE_DATABASE = 'test'

const INITDB = ['--username=postgres', '--auth=trust', '--encoding=UTF8', '--locale=C', '--no-sync']

// A replica refuses to start with lower limits than those in its data directory, which are those of the last server
// that ran there. So the template is made with the lowest limits that PostgreSQL takes, and the caller may set any.
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

// After the last two statements, all this WAL is in an old segment, and the checkpoint removes it. So it need not be
// copied.
const STATEMENTS = `create database ${TEMPLATE_DATABASE};
select pg_switch_wal();
checkpoint;
`

const CONTROL_FILE = path.join('global', 'pg_control')

// Copies a data directory, and replaces the beginnings of some files.
const COPY_WITH_HEADS = `
template=$1 heads=$2 to=$3; shift 3
cp -R "$template/." "$to" || exit
for file; do dd if="$heads/\${file##*/}" of="$to/$file" bs=${HEAD_BYTES} conv=notrunc || exit; done`

/** A data directory to copy from. */
export interface DataTemplate {
  directory: string
  majorVersion: number
  /**
   * The files whose first bytes hold the system identifier: their paths, and a directory with those first bytes for
   * this cluster.
   */
  heads: { directory: string; files: readonly string[] }
}

/**
 * Gives a data directory to copy from, which is made once by `initdb` (half a second). Also makes, for this cluster
 * alone, the bytes with a system identifier that no other cluster has.
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
      // This process copies it: later runs trust the copy, so it must not belong to the servers' user.
      const data = path.join(template, 'data')
      await cp(fresh, data, { recursive: true })
      for (const segment of walSegments(data)) makeTailSparse(segment)
    },
  })
  const data = path.join(directory, 'data')
  const majorVersion = Number.parseInt(readFileSync(path.join(data, 'PG_VERSION'), 'utf8'), 10)
  return { directory: data, majorVersion, heads: ownHeads(data, path.join(place.clusterDirectory, 'heads')) }
}

/** Writes down the beginnings of the files that hold the system identifier, with a new one in them. */
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
 * Makes a data directory from a template. The programs that copy run as the servers' user. If this process copied as
 * root, it would write through links that this user may have put there.
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

/** PostgreSQL demands that its data belong to the user that runs it, and that no other user may enter the directory. */
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

/** The last lines of a log, for an error that says why a program failed. */
export function logTail(logFile: string): string {
  try {
    return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-15).join('\n')
  } catch {
    return '(there is no log)'
  }
}
