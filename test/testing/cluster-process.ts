import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

/** A process that started a cluster, and waits. */
export interface ClusterProcess {
  pid: number
  /** Lets it go on to the end of its script. */
  goOn: () => void
  /** All that it printed, once it has ended. */
  ended: Promise<string>
}

/**
 * Runs a script in a process of its own, which has `startPostgresCluster` and `ready`; resolves when it calls
 * `ready()`, which waits there for `goOn`.
 */
export function runScript(
  project: string,
  temporaryDirectory: string,
  script: string,
): Promise<ClusterProcess> {
  const source = `
    import { startPostgresCluster } from './dist/testing/index.js'
    const ready = () => new Promise((resolve) => {
      process.once('message', () => resolve(process.disconnect()))
      process.send('ready')
    })
    ${script}`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
    cwd: project,
    env: { ...process.env, TMPDIR: temporaryDirectory },
    // A process group of its own, so that a signal can be sent to all of it, as Ctrl-C in a terminal does.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += data
    })
  }
  const ended = new Promise<string>((resolve) => child.once('close', () => resolve(output)))
  return new Promise((resolve, reject) => {
    child.once('message', () => resolve({ pid: child.pid ?? 0, goOn: () => child.send('go on'), ended }))
    ended.then(() => reject(new Error(`the script ended before it was ready:\n${output}`)))
  })
}

/** The processes of every cluster below a directory: supervisors, postmasters, and all that they started. */
export function clusterProcesses(temporaryDirectory: string): number[] {
  const table = processTable()
  const clusters = path.join(temporaryDirectory, 'write-pinning-cluster-')
  const supervisors = table.filter(({ args }) => args.includes(` -D ${clusters}`)).map(({ ppid }) => ppid)
  const family = [...new Set(supervisors)]
  for (const member of family)
    family.push(...table.filter(({ ppid }) => ppid === member).map(({ pid }) => pid))
  return family
}

/** Which of these processes are there. */
export function alive(pids: readonly number[]): number[] {
  return processTable()
    .filter(({ pid, state }) => pids.includes(pid) && state !== 'Z')
    .map(({ pid }) => pid)
}

/** The System V segments of every server below a directory, as its lock file has them. */
export function sharedMemoryOf(temporaryDirectory: string): string[] {
  return clusterDirectories(temporaryDirectory).flatMap((cluster) =>
    readdirSync(path.join(temporaryDirectory, cluster), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => path.join(temporaryDirectory, cluster, name, 'postmaster.pid'))
      .filter((lockFile) => existsSync(lockFile))
      .map((lockFile) => readFileSync(lockFile, 'utf8').split('\n')[6]?.trim().split(/\s+/)[1] ?? ''),
  )
}

/** The System V segments of the machine. */
export function sharedMemory(): string[] {
  const lines = execFileSync('ipcs', ['-m'], { encoding: 'utf8' }).split('\n')
  return lines.flatMap((line) => line.trim().split(/\s+/)[1] ?? [])
}

/** The clusters whose directories are there. */
export function clusterDirectories(temporaryDirectory: string): string[] {
  return readdirSync(temporaryDirectory).filter((name) => name.startsWith('write-pinning-cluster-'))
}

function processTable(): { pid: number; ppid: number; state: string; args: string }[] {
  const lines = execFileSync('ps', ['-axww', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' })
    .trim()
    .split('\n')
  return lines.map((line) => {
    const [pid, ppid, state = '', ...args] = line.trim().split(/\s+/)
    return { pid: Number(pid), ppid: Number(ppid), state: state.charAt(0), args: args.join(' ') }
  })
}
