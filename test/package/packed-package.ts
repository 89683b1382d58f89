import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
/** What a build and a package need of the repository. */
const BUILT_FROM = [
  'package.json',
  'build.js',
  'commonjs',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.cjs.json',
  'src',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'llms.txt',
  'docs',
]
/** The package's own. */
const DEPENDENCIES = ['cookie', 'fastify-plugin', 'on-headers']
const repository = fileURLToPath(new URL('../..', import.meta.url))

/** The package as npm would publish it, built and packed out of the way of the repository's own `dist`. */
export class PackedPackage {
  readonly #directory: string
  readonly #file: string

  static async pack(): Promise<PackedPackage> {
    const directory = await mkdtemp(path.join(tmpdir(), 'write-pinning-package-'))
    const source = path.join(directory, 'source')
    for (const name of BUILT_FROM) {
      await cp(path.join(repository, name), path.join(source, name), { recursive: true })
    }
    await symlink(path.join(repository, 'node_modules'), path.join(source, 'node_modules'), 'dir')
    const { stdout } = await npm(source, 'pack', '--json', '--pack-destination', directory)
    const { filename } = JSON.parse(stdout.slice(stdout.indexOf('[\n')))[0] as { filename: string }
    return new PackedPackage(directory, path.join(directory, filename))
  }

  private constructor(directory: string, file: string) {
    this.#directory = directory
    this.#file = file
  }

  /** Makes a project of these files that has the package (if it is not to be left out) and these others, and nothing else. */
  async install(
    name: string,
    packages: Record<string, string>,
    files: Record<string, string>,
    { node = process.execPath, withPackage = true } = {},
  ): Promise<Project> {
    const directory = path.join(this.#directory, name)
    await mkdir(directory)
    const dependencies = withPackage ? { 'write-pinning': `file:${this.#file}`, ...packages } : packages
    const settings = {
      // `skipLibCheck` is off: the declarations themselves must name nothing that is not there.
      compilerOptions: { target: 'es2022', module: 'nodenext', strict: true, types: ['node'] },
    }
    const all = {
      'package.json': JSON.stringify({ private: true, type: 'module', dependencies }),
      'tsconfig.json': JSON.stringify(settings),
      ...files,
    }
    for (const [file, content] of Object.entries(all)) await writeFile(path.join(directory, file), content)
    const quietly = ['--no-audit', '--no-fund', '--no-update-notifier']
    const { stderr } = await npmUnder(node, directory, 'install', '--prefer-offline', ...quietly)
    return new Project(directory, node, stderr)
  }

  /**
   * Makes a project of these files that has the package as it was packed and, by links, these packages of the repository: at once, and
   * without a registry.
   */
  async link(name: string, packages: readonly string[], files: Record<string, string>): Promise<Project> {
    const directory = path.join(this.#directory, name)
    const modules = path.join(directory, 'node_modules')
    await mkdir(modules, { recursive: true })
    await run('tar', ['-xzf', this.#file, '-C', modules])
    await rename(path.join(modules, 'package'), path.join(modules, 'write-pinning'))
    for (const linked of [...packages, ...DEPENDENCIES]) {
      await mkdir(path.dirname(path.join(modules, linked)), { recursive: true })
      await symlink(path.join(repository, 'node_modules', linked), path.join(modules, linked), 'dir')
    }
    const all = { 'package.json': JSON.stringify({ private: true }), ...files }
    for (const [file, content] of Object.entries(all)) await writeFile(path.join(directory, file), content)
    return new Project(directory)
  }

  async remove(): Promise<void> {
    await rm(this.#directory, { recursive: true, force: true })
  }
}

/** A project that uses the packed package. */
export class Project {
  readonly #directory: string
  readonly #node: string
  /** What npm said beside its result while it installed. */
  readonly installWarnings: string

  constructor(directory: string, node = process.execPath, installWarnings = '') {
    this.#directory = directory
    this.#node = node
    this.installWarnings = installWarnings
  }

  /** Takes away what the package brought along and this project has no use for. */
  async uninstall(...names: string[]): Promise<void> {
    for (const name of names) await rm(path.join(this.#directory, 'node_modules', name), { recursive: true })
  }

  write(file: string, content: string): Promise<void> {
    return writeFile(path.join(this.#directory, file), content)
  }

  read(file: string): Promise<string> {
    return readFile(path.join(this.#directory, file), 'utf8')
  }

  /** Compiles it; rejects with what the compiler said. */
  async compile(): Promise<void> {
    const tsc = path.join(repository, 'node_modules/typescript/bin/tsc')
    await run(process.execPath, [tsc, '-p', '.'], { cwd: this.#directory }).catch(({ stdout }) => {
      throw new Error(stdout)
    })
  }

  /** Runs a file of it and gives what it printed; rejects where it wrote to its standard error. */
  async run(file: string, ...parameters: string[]): Promise<string> {
    const { stdout, stderr } = await run(this.#node, [file, ...parameters], { cwd: this.#directory })
    if (stderr !== '') throw new Error(stderr)
    return stdout
  }
}

type Printed = Promise<{ stdout: string; stderr: string }>

function npm(cwd: string, ...args: string[]): Printed {
  return npmUnder(process.execPath, cwd, ...args)
}

/** The repository's npm, run by this Node.js. */
function npmUnder(node: string, cwd: string, ...args: string[]): Printed {
  // What `npm test` tells its scripts of itself would send this npm to the repository.
  const ofScript = /^npm_(package|lifecycle|command|execpath|config_(local_)?prefix)/
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !ofScript.test(name)))
  return run('npm', args, { cwd, env: { ...env, PATH: [path.dirname(node), env.PATH].join(path.delimiter) } })
}
