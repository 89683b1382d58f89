import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Builds the package and the example as `npm start` does, but in a directory of its own: it works where nothing is
 * built, proves that nothing but the sources is needed, and gets in no other build's way.
 */
export class BuiltShop {
  readonly #directory: string
  readonly #started = new Set<ShopProcess>()

  static async build(): Promise<BuiltShop> {
    const directory = await mkdtemp(path.join(tmpdir(), 'write-pinning-example-'))
    const settings = ['tsconfig.json', 'tsconfig.build.json', 'tsconfig.cjs.json']
    const sources = ['package.json', 'build.js', 'commonjs', 'src', ...settings]
    const example = ['start.js', 'tsconfig.json', 'src', 'public'].map((name) =>
      path.join('example-app', name),
    )
    for (const source of [...sources, ...example]) {
      await cp(path.join(root, source), path.join(directory, source), { recursive: true })
    }
    await symlink(path.join(root, 'node_modules'), path.join(directory, 'node_modules'), 'dir')

    const tsc = path.join(root, 'node_modules/typescript/bin/tsc')
    for (const project of ['tsconfig.build.json', 'example-app/tsconfig.json']) {
      await promisify(execFile)(process.execPath, [tsc, '-p', project], { cwd: directory })
    }
    return new BuiltShop(directory)
  }

  private constructor(directory: string) {
    this.#directory = directory
  }

  start(environment: Record<string, string>): ShopProcess {
    return this.#run(process.execPath, ['example-app/dist/main.js'], environment, false)
  }

  /** As its users start it: npm, which builds it once more, and runs it. Signals go to npm alone. */
  startWithNpm(): ShopProcess {
    // A process group of its own, so that what npm leaves behind can be killed with it.
    return this.#run('npm', ['start'], { npm_config_update_notifier: 'false' }, true)
  }

  /** The commands of the processes that work on its files now, whoever has started them. */
  async processes(): Promise<string[]> {
    const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'args='])
    return stdout.split('\n').filter((command) => command.includes(this.#directory))
  }

  #run(
    command: string,
    args: readonly string[],
    environment: Record<string, string>,
    isGroup: boolean,
  ): ShopProcess {
    const { PATH = '', HOME = '', TMPDIR } = process.env
    const child = spawn(command, args, {
      cwd: this.#directory,
      env: { PATH, HOME, ...(TMPDIR && { TMPDIR }), PORT: '0', ...environment },
      detached: isGroup,
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const shop = new ShopProcess(child, isGroup)
    this.#started.add(shop)
    return shop
  }

  async remove(): Promise<void> {
    for (const shop of this.#started) await shop.kill()
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/** A shop as its own process, and what it has said so far. */
export class ShopProcess {
  output = ''
  errors = ''
  /** Known once all that it said has been read, which also takes until every process that it started has ended. */
  readonly exitCode: Promise<number | null>
  /** Resolves once the process itself has ended, whatever it left behind. */
  readonly ended: Promise<void>
  readonly #child: ChildProcess
  readonly #isGroup: boolean

  constructor(child: ChildProcess, isGroup: boolean) {
    this.#child = child
    this.#isGroup = isGroup
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text
    })
    this.exitCode = once(child, 'close').then(([code]) => code as number | null)
    this.ended = once(child, 'exit').then(() => {})
  }

  /** Resolves with what `pattern` matches in the output; rejects where the process ends before. */
  async says(pattern: RegExp): Promise<RegExpMatchArray> {
    const ended = this.exitCode.then((code) => ({ code }))
    for (;;) {
      const match = this.output.match(pattern)
      if (match) return match
      const next = await Promise.race([ended, once(this.#child.stdout as NodeJS.EventEmitter, 'data')])
      if ('code' in next && !pattern.test(this.output)) {
        throw new Error(`It ended with ${next.code} before it said ${pattern}: ${this.output}${this.errors}`)
      }
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  async kill(): Promise<void> {
    if (this.#isGroup) killGroup(this.#child.pid)
    else if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.exitCode
  }
}

function killGroup(leader: number | undefined): void {
  try {
    if (leader !== undefined) process.kill(-leader, 'SIGKILL')
  } catch {
    // All of it has ended.
  }
}
