import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { temporaryRoot } from '../../src/testing/temporary-root.ts'
import { unprivilegedUser } from '../../src/testing/unprivileged-user.ts'

/**
 * A program of Debian that runs beside the test cluster. It runs as the same user as the servers, and has a directory
 * of its own. It ends, and its directory is removed, by `stop()`, or when this process ends in any way.
 */
export class Daemon {
  readonly directory: string
  readonly #command: string
  readonly #user = unprivilegedUser()
  #shell: ChildProcess | undefined
  #ended: Promise<unknown> | undefined

  /** @throws if the program is not installed; the error says what to install. */
  constructor(command: string) {
    this.#command = programNamed(command)
    this.directory = mkdtempSync(path.join(temporaryRoot(tmpdir(), this.#user), `write-pinning-${command}-`))
    if (this.#user !== undefined) chownSync(this.directory, this.#user.uid, this.#user.gid)
  }

  /**
   * Starts the program, and resolves once `isReady()` says so. If the program ends before that, throws with what it
   * wrote.
   */
  async start(args: readonly string[], isReady: () => Promise<boolean>): Promise<void> {
    const shell = spawn('/bin/sh', ['-c', KEEP, 'sh', this.directory, this.#command, ...args], {
      cwd: this.directory,
      // A session of its own: Ctrl-C in the terminal must not end the shell before it has cleaned up.
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      ...this.#user,
    })
    this.#shell = shell
    let log = ''
    for (const output of [shell.stdout, shell.stderr]) {
      output.on('data', (text: Buffer) => {
        log += text
      })
    }
    this.#ended = once(shell, 'exit').then(() => shell.stdin.destroy())
    const deadline = performance.now() + START_MS
    while (!(await isReady())) {
      const isLate = performance.now() > deadline
      if (shell.exitCode === null && !isLate) continue
      await this.stop()
      throw new Error(`${this.#command} ${isLate ? `was not ready after ${START_MS} ms` : 'ended'}:\n${log}`)
    }
  }

  async stop(): Promise<void> {
    this.#shell?.stdin?.end()
    await this.#ended
  }
}

const START_MS = 10_000

// The shell's input ends when this process does. After that, only the shell can clean up.
const KEEP = `
  directory=$1; shift
  exec 3<&0
  "$@" </dev/null 3<&- & child=$!
  # Nobody reads what this shell says once the process is gone, and a word would be its end.
  exec >/dev/null 2>&1
  { cat <&3; kill $child; } & watcher=$!
  wait $child
  kill $watcher
  cd /; rm -rf "$directory"`

// Debian keeps servers in directories that are not in a plain user's PATH.
const PATH = `${process.env.PATH}:/usr/sbin:/usr/local/sbin`

function programNamed(command: string): string {
  try {
    return execFileSync('/bin/sh', ['-c', `command -v ${command}`], {
      env: { PATH },
      encoding: 'utf8',
    }).trim()
  } catch (cause) {
    throw new Error(`There is no ${command} here: apt-get install ${command}`, { cause })
  }
}
