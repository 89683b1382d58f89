import type {
  SupervisedCommand,
  SupervisedServer,
  SupervisorMessage,
  SupervisorOrder,
  SupervisorSetup,
} from './supervisor-protocol.ts'

/**
 * The program of a cluster's supervisor: a process of its own that owns the cluster's servers and its directory. When
 * the IPC channel to the test process closes, it ends the servers and removes the directory.
 *
 * It is a function whose source text is given to `node --eval`. The package's own tests run it from a `.ts` file,
 * which Node.js 20 cannot run, and its users run it from `dist`. So it must be complete by itself: it imports only
 * types, and uses nothing from outside the function. The coverage hint keeps counters out of its text, because they
 * would not exist in that process.
 */
/* istanbul ignore next */
export function supervise(): void {
  const fs = process.getBuiltinModule('node:fs')
  const path = process.getBuiltinModule('node:path')
  const { spawn, spawnSync, execFileSync } = process.getBuiltinModule('node:child_process')
  const { setTimeout: sleep } = process.getBuiltinModule('node:timers/promises')

  const POLL_MS = 5
  const IMMEDIATE_SHUTDOWN_MS = 3_000
  type Child = ReturnType<typeof spawn>

  process.title = 'write-pinning test cluster'
  const setup = JSON.parse(process.argv[1] ?? '') as SupervisorSetup
  const directory = fs.mkdtempSync(path.join(setup.temporaryRoot, 'write-pinning-cluster-'))
  const env = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' }
  const asServerUser = { cwd: directory, env, ...setup.user }
  const running = new Map<string, Child>()
  const served = new Map<string, SupervisedServer>()
  const commands = new Set<Child>()
  let isCleaningUp = false

  process.on('disconnect', cleanUp)
  process.stderr.on('error', () => {})
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, cleanUp)
  process.on('uncaughtException', cleanUp)
  process.on('unhandledRejection', cleanUp)
  // The directory belongs to this process's user, and the servers' user may only pass through it. So root never
  // writes to a place where the servers' user could have put a link.
  fs.chmodSync(directory, 0o711)
  process.on('message', ({ id, order }: { id: number; order: SupervisorOrder }) => {
    obey(order).then(
      (result) => tell({ kind: 'done', id, result }),
      (error: Error) => tell({ kind: 'failed', id, reason: error.message }),
    )
  })
  tell({ kind: 'ready', directory })

  function tell(message: SupervisorMessage): void {
    if (process.connected) process.send?.(message, undefined, undefined, () => {})
  }

  /** Carries out an order. Gives the exit code of a command, else 0. */
  async function obey(order: SupervisorOrder): Promise<number> {
    if (isCleaningUp) throw new Error('the cluster is being stopped')
    if (order.kind === 'run') return run(order.command)
    if (order.kind === 'serve') return serve(order.server)
    const child = running.get(order.name)
    if (child?.pid === undefined) return 0
    if (order.kind === 'signal') signalAll([child.pid], order.signal)
    else await { freeze, thaw, kill }[order.kind](child.pid)
    // Otherwise a server that is started next could be taken for the one that ended.
    while (order.kind === 'kill' && running.get(order.name) === child) await sleep(POLL_MS)
    return 0
  }

  // Does not pass on the environment of the test: PGPORT, PGDATA or a locale would change what the servers do.
  function launch(command: string, args: readonly string[], logFile: string): Child {
    const log = fs.openSync(logFile, 'a')
    try {
      return spawn(command, args, { ...asServerUser, stdio: ['pipe', log, log] })
    } finally {
      fs.closeSync(log)
    }
  }

  function run({ command, args, input, logFile }: SupervisedCommand): Promise<number> {
    return new Promise((resolve, reject) => {
      const child = launch(command, args, logFile)
      commands.add(child)
      child.stdin?.on('error', () => {}).end(input)
      child.once('error', reject)
      child.once('exit', (code) => {
        commands.delete(child)
        resolve(code ?? -1)
      })
    })
  }

  function serve(server: SupervisedServer): Promise<number> {
    return new Promise((resolve, reject) => {
      const child = launch(server.postgres, server.args, server.logFile)
      child.stdin?.destroy()
      running.set(server.name, child)
      served.set(server.name, server)
      child.once('spawn', () => resolve(0))
      child.once('error', (error) => {
        running.delete(server.name)
        reject(error)
      })
      child.once('exit', () => {
        if (running.get(server.name) === child) running.delete(server.name)
        tell({ kind: 'exited', name: server.name })
      })
    })
  }

  /** Stops the postmaster first, so that it makes no new child while this searches for the others. */
  async function freeze(pid: number): Promise<void> {
    signalAll([pid], 'SIGSTOP')
    for (;;) {
      const moving = family(pid).filter(({ state }) => state !== 'T' && state !== 'Z')
      if (moving.length === 0) return
      signalAll(
        moving.map((member) => member.pid),
        'SIGSTOP',
      )
      await sleep(POLL_MS)
    }
  }

  async function thaw(pid: number): Promise<void> {
    const members = family(pid).map((member) => member.pid)
    signalAll(members.reverse(), 'SIGCONT')
  }

  async function kill(pid: number): Promise<void> {
    await freeze(pid)
    const members = new Set(family(pid).map((member) => member.pid))
    signalAll([...members], 'SIGKILL')
    while (processTable().some((entry) => members.has(entry.pid) && entry.state !== 'Z')) await sleep(POLL_MS)
  }

  function signalAll(pids: readonly number[], signal: NodeJS.Signals): void {
    for (const pid of pids) {
      try {
        process.kill(pid, signal)
      } catch {
        // It ended in the meantime.
      }
    }
  }

  /** A process and all its descendants, itself first. Backends call setsid, so a process group would miss them. */
  function family(root: number): { pid: number; ppid: number; state: string }[] {
    const table = processTable()
    const members = table.filter(({ pid }) => pid === root)
    for (const member of members) members.push(...table.filter(({ ppid }) => ppid === member.pid))
    return members
  }

  function processTable(): { pid: number; ppid: number; state: string }[] {
    if (process.platform !== 'linux') {
      const lines = execFileSync('ps', ['-axo', 'pid=,ppid=,stat='], { encoding: 'utf8' }).trim().split('\n')
      return lines.map((line) => {
        const [pid, ppid, state = ''] = line.trim().split(/\s+/)
        return { pid: Number(pid), ppid: Number(ppid), state: state.charAt(0) }
      })
    }
    // Not `ps`: slim container images have none.
    const pids = fs.readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))
    return pids.flatMap((pid) => {
      try {
        const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8')
        const [state = '', ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
        return [{ pid: Number(pid), ppid: Number(ppid), state }]
      } catch {
        return []
      }
    })
  }

  async function cleanUp(): Promise<void> {
    if (isCleaningUp) return
    isCleaningUp = true
    try {
      for (const child of commands) if (child.pid !== undefined) await kill(child.pid)
      for (const pid of postmasters()) {
        await thaw(pid)
        signalAll([pid], 'SIGQUIT')
      }
      const deadline = performance.now() + IMMEDIATE_SHUTDOWN_MS
      while (running.size > 0 && performance.now() < deadline) await sleep(POLL_MS)
      for (const pid of postmasters()) await kill(pid)
      for (const server of served.values()) removeSharedMemory(server)
    } finally {
      fs.rmSync(directory, { recursive: true, force: true, maxRetries: 10 })
      process.exit(0)
    }
  }

  function postmasters(): number[] {
    return [...running.values()].flatMap((child) => child.pid ?? [])
  }

  /**
   * A killed server leaves its lock file and a System V segment (on macOS, semaphores too). PostgreSQL removes them
   * when it next starts in that directory. These are its two shortest starts: since version 15, and before that.
   */
  function removeSharedMemory({ postgres, dataDirectory }: SupervisedServer): void {
    for (const shortStart of [['--check'], ['--boot', '-x0']]) {
      if (!fs.existsSync(path.join(dataDirectory, 'postmaster.pid'))) return
      const args = [...shortStart, '-D', dataDirectory]
      spawnSync(postgres, args, { ...asServerUser, stdio: 'ignore', timeout: 5_000 })
    }
  }
}
