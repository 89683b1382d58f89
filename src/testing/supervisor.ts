import { type ChildProcess, spawn } from 'node:child_process'
import { clusterError } from './cluster-error.ts'
import { supervise } from './supervisor-program.ts'
import type {
  SupervisedCommand,
  SupervisedServer,
  SupervisorMessage,
  SupervisorOrder,
  SupervisorSetup,
} from './supervisor-protocol.ts'

interface Waiting {
  resolve: (result: number) => void
  reject: (error: Error) => void
}

/**
 * The supervisor, as the test process sees it: takes orders, reports which servers ended, and ends with its channel.
 */
export class Supervisor {
  readonly directory: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #exitListeners = new Map<string, () => void>()
  readonly #ended: Promise<void>
  #nextId = 1

  static async start(setup: SupervisorSetup): Promise<Supervisor> {
    const { NODE_OPTIONS: _options, NODE_V8_COVERAGE: _coverage, ...env } = process.env
    const child = spawn(process.execPath, ['--eval', `(${supervise})()`, JSON.stringify(setup)], {
      cwd: setup.temporaryRoot,
      env,
      // A session of its own, so that Ctrl-C in the terminal does not end it before it has cleaned up.
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    let complaints = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      complaints += text
    })
    const directory = await new Promise<string>((resolve, reject) => {
      child.once('error', (error) =>
        reject(clusterError('the supervisor of the cluster did not start', error)),
      )
      child.once('exit', () =>
        reject(clusterError(`the supervisor of the cluster ended at once: ${complaints.trim()}`)),
      )
      child.once('message', (message: SupervisorMessage) => {
        if (message.kind === 'ready') resolve(message.directory)
      })
    })
    child.stderr?.destroy()
    return new Supervisor(child, directory)
  }

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child
    this.directory = directory
    this.#ended = new Promise((resolve) => child.once('exit', () => resolve()))
    child.on('message', (message: SupervisorMessage) => this.#hear(message))
    child.on('error', () => {})
    child.on('disconnect', () => this.#giveUp())
    this.#letTheProcessEnd()
  }

  /** Runs a command to its end and gives its exit code. */
  run(command: SupervisedCommand): Promise<number> {
    return this.#order({ kind: 'run', command })
  }

  /** Starts a server, and calls `onExit` once it has ended. */
  async serve(server: SupervisedServer, onExit: () => void): Promise<void> {
    this.#exitListeners.set(server.name, onExit)
    await this.#order({ kind: 'serve', server })
  }

  /** Sends a signal to a server's postmaster. */
  async signal(name: string, signal: NodeJS.Signals): Promise<void> {
    await this.#order({ kind: 'signal', name, signal })
  }

  /** Freezes, thaws or kills every process of a server; resolves when that is done. */
  async each(kind: 'freeze' | 'thaw' | 'kill', name: string): Promise<void> {
    await this.#order({ kind, name })
  }

  /** Ends every server, removes the directory, and resolves when the supervisor itself is gone. */
  async close(): Promise<void> {
    this.#child.ref()
    if (this.#child.connected) this.#child.disconnect()
    await this.#ended
  }

  #order(order: SupervisorOrder): Promise<number> {
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) return reject(clusterError('the cluster has been stopped'))
      const id = this.#nextId++
      this.#waiting.set(id, { resolve, reject })
      this.#child.channel?.ref()
      this.#child.send({ id, order }, (error) => {
        if (error) this.#giveUp()
      })
    })
  }

  #hear(message: SupervisorMessage): void {
    if (message.kind === 'exited') this.#exitListeners.get(message.name)?.()
    if (message.kind !== 'done' && message.kind !== 'failed') return
    const waiting = this.#waiting.get(message.id)
    this.#waiting.delete(message.id)
    if (message.kind === 'done') waiting?.resolve(message.result)
    else waiting?.reject(clusterError(explained(message.reason)))
    if (this.#waiting.size === 0) this.#letTheProcessEnd()
  }

  /** A cluster that was not stopped must not keep a test run alive. The supervisor cleans up after it. */
  #letTheProcessEnd(): void {
    this.#child.unref()
    this.#child.channel?.unref()
  }

  #giveUp(): void {
    for (const { reject } of this.#waiting.values()) reject(clusterError('the cluster has been stopped'))
    this.#waiting.clear()
  }
}

function explained(reason: string): string {
  if (!reason.includes('EACCES')) return reason
  return `${reason}: the user who runs the servers may not run it, or its file system is mounted noexec`
}
