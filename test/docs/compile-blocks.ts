import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { type Block, repository } from './pages.ts'

const run = promisify(execFile)
const tsc = path.join(repository, 'node_modules/typescript/bin/tsc')
const ambient = path.join(repository, 'test/docs/ambient')
const prismaClient = path.join(repository, 'test/docs/generated/prisma-client.d.ts')

/** How a block is compiled: as a module, as one with the older decorators, or as CommonJS. */
type Kind = 'ts' | 'ts-legacy' | 'js'

/** A page, and those of its blocks that are code. */
export interface Page {
  readonly page: string
  readonly blocks: readonly Block[]
}

/** Blocks of one kind that the compiler sees together. */
interface Program {
  readonly directory: string
  readonly kind: Kind
  /** The block that each file holds, by the file's path in the directory. A block may stand in several. */
  readonly files: Map<string, Block>
  /** The files that are compiled, and not only imported. */
  readonly entries: string[]
}

/** What became of the blocks of all pages. */
export class CompiledBlocks {
  readonly #programs: readonly Program[]
  readonly #faults: ReadonlyMap<string, ReadonlySet<string>>

  /** Compiles the blocks of these pages in the project. */
  static async compile(project: string, pages: readonly Page[]): Promise<CompiledBlocks> {
    const programs = programsOf(project, pages)
    const faults = new Map(pages.map(({ page }) => [page, new Set<string>()]))
    const compileOne = async (program: Program) => {
      writeFiles(program)
      for (const [page, fault] of faultsOf(await compile(program), program)) faults.get(page)?.add(fault)
    }
    await Promise.all(programs.map(compileOne))
    return new CompiledBlocks(programs, faults)
  }

  private constructor(programs: readonly Program[], faults: ReadonlyMap<string, ReadonlySet<string>>) {
    this.#programs = programs
    this.#faults = faults
  }

  /** What the compiler says of a page, with the lines of the page. */
  faultsOf(page: string): string[] {
    return [...(this.#faults.get(page) ?? [])]
  }

  /** The JavaScript of a block, which stands beside that of the others of its page. */
  fileOf(block: Block): string {
    for (const { directory, files, entries } of this.#programs) {
      const file = entries.find((entry) => files.get(entry) === block)
      if (file !== undefined) return path.join(directory, 'out', file.replace(/\.(\w?)ts$/, '.$1js'))
    }
    throw new Error(`${block.page}:${block.line} was not compiled`)
  }
}

/** What a page adds to the types of others is seen by its own blocks only: it is a program of its own. */
function programsOf(project: string, pages: readonly Page[]): Program[] {
  const programs: Program[] = []
  for (const kind of ['ts', 'ts-legacy', 'js'] as const) {
    const concerned = pages.filter(({ blocks }) => blocks.some((block) => kindOf(block) === kind))
    const alone = concerned.filter(({ blocks }) => blocks.some(addsTypes))
    const together = concerned.filter((page) => !alone.includes(page))
    for (const group of [together, ...alone.map((page) => [page])]) {
      if (group.length === 0) continue
      const directory = path.join(project, `${kind}-${programs.length}`)
      const program: Program = { directory, kind, files: new Map(), entries: [] }
      for (const page of group) placeBlocks(program, page)
      programs.push(program)
    }
  }
  return programs
}

function kindOf({ language, words }: Block): Kind {
  if (language === 'js') return 'js'
  return words.includes('legacy-decorators') ? 'ts-legacy' : 'ts'
}

function addsTypes({ text }: Block): boolean {
  return /^declare (module|global)\b/m.test(text)
}

/**
 * Gives each block of a page a file. A name that comes a second time opens a new chapter, in which it means the new block. A chapter is
 * a directory, and has the named blocks of the others, too: of one name that of the chapter before, or else that of the next one.
 */
function placeBlocks({ kind, files, entries }: Program, { page, blocks }: Page): void {
  const ofLanguage = blocks.filter(({ language }) => language === kind.slice(0, 2))
  const chapters: Block[][] = [[]]
  for (const block of ofLanguage) {
    const name = nameOf(block)
    const isTaken = name !== undefined && chapters.at(-1)?.some((each) => nameOf(each) === name)
    if (isTaken) chapters.push([])
    chapters.at(-1)?.push(block)
  }
  for (const [index, chapter] of chapters.entries()) {
    const directory = `${page}/${index + 1}`
    const others = [...chapters.slice(0, index).reverse(), ...chapters.slice(index + 1)].flat()
    for (const block of [...chapter, ...others.filter((other) => nameOf(other) !== undefined)]) {
      const file = `${directory}/${nameOf(block) ?? `line-${block.line}.${block.language}`}`
      if (files.has(file)) continue
      files.set(file, block)
      if (chapter.includes(block) && kindOf(block) === kind) entries.push(file)
    }
  }
}

/** The name in the first line of a block, such as `// src/database.ts`. */
function nameOf({ text }: Block): string | undefined {
  return /^\/\/ ((?:[\w-]+\/)*[\w.-]+\.[cm]?[jt]sx?)\n/.exec(text)?.[1]
}

function writeFiles({ directory, kind, files, entries }: Program): void {
  for (const [file, { text }] of files) {
    const place = path.join(directory, file)
    mkdirSync(path.dirname(place), { recursive: true })
    writeFileSync(place, text)
    for (const [, imported] of text.matchAll(/'(\.[^']*generated\/prisma\/client)\.js'/g)) {
      const generated = path.resolve(path.dirname(place), `${imported}.d.ts`)
      mkdirSync(path.dirname(generated), { recursive: true })
      cpSync(prismaClient, generated)
    }
  }
  // CommonJS stands in a package of its own.
  const type = kind === 'js' ? 'commonjs' : 'module'
  writeFileSync(path.join(directory, 'package.json'), JSON.stringify({ type }))
  const compilerOptions = {
    ...{ target: 'es2023', lib: ['es2023'], types: ['node'], module: 'nodenext' },
    ...{ strict: true, noUnusedLocals: true, skipLibCheck: true, rootDir: '.', outDir: 'out' },
    ...(kind === 'js' && { allowJs: true, checkJs: true, noImplicitAny: false }),
    ...(kind === 'ts-legacy' && { experimentalDecorators: true, emitDecoratorMetadata: true }),
  }
  const settings = { compilerOptions, files: entries, include: [path.join(ambient, '*.d.ts')] }
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify(settings))
}

/** Gives what the compiler says. */
async function compile({ directory }: Program): Promise<string> {
  const command = [tsc, '-p', '.', '--pretty', 'false']
  return run(process.execPath, command, { cwd: directory, maxBuffer: 2 ** 26 }).then(
    () => '',
    ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
  )
}

/** What the compiler said, a fault each, with the page and its lines. */
function faultsOf(said: string, { files }: Program): [page: string, fault: string][] {
  return said
    .split(/\n(?!\s)/)
    .filter((message) => message !== '')
    .flatMap((message): [string, string][] => {
      const [, file = '', line, column, text = ''] = /^(.*?)\((\d+),(\d+)\): (.*)$/s.exec(message) ?? []
      const block = files.get(file)
      // What is no block's stands in every page, so that it is not missed.
      if (block === undefined) return pagesOf(files).map((page) => [page, message])
      if (isUnused(text) && !isInImport(block.text, Number(line))) return []
      const place = `${block.page}:${block.line + Number(line)}:${column}`
      return [[block.page, `${place}: ${text} (in the block of line ${block.line})`]]
    })
}

function pagesOf(files: ReadonlyMap<string, Block>): string[] {
  return [...new Set([...files.values()].map(({ page }) => page))]
}

/** A block may declare what it does not use; an import that it does not use is a fault. */
function isUnused(message: string): boolean {
  return /error TS(6133|6138|6192|6196|6198|6199|6205)/.test(message)
}

function isInImport(text: string, line: number): boolean {
  for (const { index, 0: statement } of text.matchAll(/^import\b[^;]*?['"]$/gm)) {
    const first = text.slice(0, index).split('\n').length
    if (line >= first && line < first + statement.split('\n').length) return true
  }
  return false
}
