import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import type { PostgresCluster } from 'write-pinning/testing'
import { buildProject } from '../testing/built-package.ts'

/** The result of a read, and the port of the server that gave it. */
export interface Read {
  readonly count: number
  readonly port: number
}

/**
 * A separate process that reads from a cluster, once each time that it is asked. It can be stopped, as an operator, a
 * debugger or a container's freezer stops a process.
 */
export class ReadingProcess implements AsyncDisposable {
  readonly #project: string
  readonly #child: ChildProcess
  readonly #waiting: ((read: Read) => void)[] = []
  /** What it wrote to stderr, such as warnings. */
  errors = ''

  static async start(
    cluster: PostgresCluster,
    options: { maxLagMs: number; probeIntervalMs: number; probeTimeoutMs: number },
  ): Promise<ReadingProcess> {
    const reader = new ReadingProcess(cluster, options)
    await once(reader.#child, 'message')
    reader.#child.on('message', (read) => reader.#waiting.shift()?.(read as Read))
    return reader
  }

  private constructor(cluster: PostgresCluster, options: object) {
    this.#project = buildProject(['index.ts', 'kysely/index.ts'], ['pg', 'kysely'])
    const given = {
      ...options,
      primary: cluster.primary.connectionString,
      replicas: cluster.replicas.map(({ connectionString }) => connectionString),
    }
    this.#child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM, JSON.stringify(given)], {
      cwd: this.#project,
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    })
    this.#child.stderr?.on('data', (data) => {
      this.errors += data
    })
  }

  /** Asks it to count the items. If it is stopped now, it reads them first thing when it goes on. */
  count(): Promise<Read> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      this.#child.send('count')
    })
  }

  stop(): void {
    this.#child.kill('SIGSTOP')
  }

  goOn(): void {
    this.#child.kill('SIGCONT')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.goOn()
    const ended = once(this.#child, 'close')
    this.#child.send('end')
    await ended
    rmSync(this.#project, { recursive: true, force: true })
  }
}

const PROGRAM = `
  import { Kysely, sql } from 'kysely'
  import { runWithPin } from './dist/index.js'
  import { PrimaryReplicaDialect } from './dist/kysely/index.js'

  const db = new Kysely({ dialect: new PrimaryReplicaDialect(JSON.parse(process.argv[1])) })
  const query = sql\`select count(*)::int as count, current_setting('port')::int as port from item\`
  let answered = Promise.resolve()
  process.on('message', async (message) => {
    if (message === 'end') {
      await db.destroy()
      process.disconnect()
      return
    }
    const read = runWithPin(undefined, () => query.execute(db))
    answered = answered.then(async () => process.send((await read).rows[0]))
  })
  await runWithPin(undefined, () => query.execute(db))
  process.send('ready')
`
