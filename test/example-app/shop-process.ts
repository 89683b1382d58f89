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
    const sources = ['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src']
    const example = ['tsconfig.json', 'src', 'public'].map((name) => path.join('example-app', name))
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
    const { PATH = '', HOME = '', TMPDIR } = process.env
    const child = spawn(process.execPath, ['example-app/dist/main.js'], {
      cwd: this.#directory,
      env: { PATH, HOME, ...(TMPDIR && { TMPDIR }), PORT: '0', ...environment },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const shop = new ShopProcess(child)
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
  readonly exitCode: Promise<number | null>
  readonly #child: ChildProcess

  constructor(child: ChildProcess) {
    this.#child = child
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.errors += text
    })
    this.exitCode = once(child, 'close').then(([code]) => code as number | null)
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
    if (this.#child.exitCode === null && this.#child.signalCode === null) this.#child.kill('SIGKILL')
    await this.exitCode
  }
}
