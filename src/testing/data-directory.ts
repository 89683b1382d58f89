import { readFileSync } from 'node:fs'
import path from 'node:path'
import type { Binaries } from './binaries.ts'
import { clusterError } from './cluster-error.ts'
import type { Supervisor } from './supervisor.ts'

/** Makes a fresh data directory; gives PostgreSQL's major version. */
export async function initializeDataDirectory(
  supervisor: Supervisor,
  binaries: Binaries,
  dataDirectory: string,
): Promise<number> {
  await runOrThrow(supervisor, binaries.initdb, [
    '--pgdata',
    dataDirectory,
    '--username=postgres',
    '--auth=trust',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
    '--no-instructions',
  ])
  return Number.parseInt(readFileSync(path.join(dataDirectory, 'PG_VERSION'), 'utf8'), 10)
}

/** Copies the data directory of a server that does not run, and keeps its owner: the servers' user does it. */
export async function copyDataDirectory(supervisor: Supervisor, from: string, to: string): Promise<void> {
  await runOrThrow(supervisor, 'cp', ['-R', from, to])
}

async function runOrThrow(supervisor: Supervisor, command: string, args: readonly string[]): Promise<void> {
  const logFile = path.join(supervisor.directory, `${path.basename(command)}.log`)
  const code = await supervisor.run({ command, args, logFile })
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
