import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { type Block, repository } from './pages.ts'

const run = promisify(execFile)
const tsc = path.join(repository, 'node_modules/typescript/bin/tsc')
const ambient = path.join(repository, 'test/docs/ambient')
/** What `prisma generate` makes of a schema with some models, for blocks that import it. */
const PRISMA_CLIENT = 'generated/prisma/client'

/** How the blocks of a page are compiled: those of one kind make one program. */
type Kind = 'ts' | 'ts-legacy' | 'js'

export interface CompiledPage {
  /** What the compiler says, with the lines of the page. */
  readonly faults: string[]
  /** The JavaScript of a block, which stands beside that of the others. */
  fileOf(block: Block): string
}

interface Source {
  readonly block: Block
  readonly kind: Kind
  /** From the directory of its kind. */
  readonly file: string
}

/** Compiles the blocks of a page in a directory of their own in the project. */
export async function compileBlocks(
  project: string,
  page: string,
  blocks: readonly Block[],
): Promise<CompiledPage> {
  const directory = path.join(project, 'pages', page)
  const sources = placeBlocks(blocks)
  const faults: string[] = []
  for (const kind of new Set(sources.map((source) => source.kind))) {
    const inside = path.join(directory, kind)
    const entries = writeSources(inside, kind, sources)
    faults.push(...(await compile(inside, entries, sources, page)))
  }
  return {
    faults: [...new Set(faults)],
    fileOf(block) {
      const source = sources.find((each) => each.block === block)
      if (!source) throw new Error(`${block.page}:${block.line} was not compiled`)
      return path.join(directory, source.kind, 'out', source.file.replace(/\.(\w?)ts$/, '.$1js'))
    },
  }
}

/** A name that comes again opens a new chapter, in which it means the new block. */
function placeBlocks(blocks: readonly Block[]): Source[] {
  const sources: Source[] = []
  let chapter = 1
  let names = new Set<string>()
  for (const block of blocks) {
    const name = nameOf(block)
    if (name !== undefined && names.has(name)) {
      chapter += 1
      names = new Set()
    }
    if (name !== undefined) names.add(name)
    const file = name ?? `line-${block.line}.${block.language}`
    sources.push({ block, kind: kindOf(block), file: path.join(String(chapter), file) })
  }
  return sources
}

/** The name in the first line of a block, such as `// src/database.ts`. */
export function nameOf({ text }: Block): string | undefined {
  return /^\/\/ ((?:[\w-]+\/)*[\w.-]+\.[cm]?[jt]sx?)\n/.exec(text)?.[1]
}

function kindOf({ language, words }: Block): Kind {
  if (language === 'js') return 'js'
  return words.includes('legacy-decorators') ? 'ts-legacy' : 'ts'
}

/** Writes the blocks of a kind, and those of the other one that they may import; gives the files to compile. */
function writeSources(directory: string, kind: Kind, sources: readonly Source[]): string[] {
  const language = kind === 'js' ? 'js' : 'ts'
  const ofLanguage = sources.filter(({ block }) => block.language === language)
  const chapters = new Set(ofLanguage.map(({ file }) => path.dirname(file).split(path.sep)[0] as string))
  mkdirSync(directory, { recursive: true })
  // CommonJS stands in a package of its own.
  if (kind === 'js') writeFileSync(path.join(directory, 'package.json'), '{ "type": "commonjs" }')
  for (const chapter of chapters) {
    for (const source of ofLanguage) {
      const name = nameOf(source.block)
      const own = source.file.startsWith(`${chapter}${path.sep}`)
      if (!own && (name === undefined || isIn(ofLanguage, chapter, name))) continue
      const file = path.join(directory, chapter, name ?? path.basename(source.file))
      mkdirSync(path.dirname(file), { recursive: true })
      writeFileSync(file, source.block.text)
      if (source.block.text.includes(`/${PRISMA_CLIENT}.js'`)) addPrismaClient(file, source.block.text)
    }
  }
  return sources.filter((source) => source.kind === kind).map(({ file }) => file)
}

function isIn(sources: readonly Source[], chapter: string, name: string): boolean {
  return sources.some(({ file }) => file === path.join(chapter, name))
}

function addPrismaClient(file: string, text: string): void {
  for (const [, imported] of text.matchAll(/'(\.[^']*generated\/prisma\/client)\.js'/g)) {
    const target = path.resolve(path.dirname(file), `${imported}.d.ts`)
    mkdirSync(path.dirname(target), { recursive: true })
    cpSync(path.join(repository, 'test/docs/generated/prisma-client.d.ts'), target)
  }
}

async function compile(
  directory: string,
  entries: readonly string[],
  sources: readonly Source[],
  page: string,
): Promise<string[]> {
  const kind = path.basename(directory) as Kind
  const settings = {
    compilerOptions: {
      ...{
        target: 'es2023',
        lib: ['es2023'],
        module: 'nodenext',
        strict: true,
        skipLibCheck: true,
        types: ['node'],
      },
      ...{ noUnusedLocals: true, rootDir: '.', outDir: 'out' },
      ...(kind === 'js' && { allowJs: true, checkJs: true, noImplicitAny: false }),
      ...(kind === 'ts-legacy' && { experimentalDecorators: true, emitDecoratorMetadata: true }),
    },
    files: entries,
    include: [path.join(ambient, '*.d.ts')],
  }
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify(settings))
  const said = await run(process.execPath, [tsc, '-p', '.', '--pretty', 'false'], { cwd: directory }).then(
    () => '',
    ({ stdout, stderr }: { stdout: string; stderr: string }) => stdout + stderr,
  )
  return faultsOf(said, sources, page)
}

/** What the compiler said, a fault each, with the lines of the page. */
function faultsOf(said: string, sources: readonly Source[], page: string): string[] {
  const faults: string[] = []
  for (const message of said.split(/\n(?!\s)/).filter((text) => text !== '')) {
    const place = /^(.*?)\((\d+),(\d+)\): (.*)$/s.exec(message)
    const source = place && sourceOf(place[1] as string, sources)
    if (!place || !source) {
      faults.push(`${page}: ${message}`)
      continue
    }
    const [line, column, text] = [Number(place[2]), place[3], place[4] as string]
    if (isUnused(text) && !inImport(source.block.text, line)) continue
    const { block } = source
    faults.push(`${page}:${block.line + line}:${column}: ${text} (in the block of line ${block.line})`)
  }
  return faults
}

function sourceOf(file: string, sources: readonly Source[]): Source | undefined {
  const name = path.normalize(file)
  const [, ...rest] = name.split(path.sep)
  return (
    sources.find((source) => source.file === name) ??
    sources.findLast((source) => nameOf(source.block) === rest.join('/'))
  )
}

/** A block may declare what it does not use; an import that it does not use is a fault. */
function isUnused(message: string): boolean {
  return /error TS(6133|6138|6192|6196|6198|6199|6205)/.test(message)
}

function inImport(text: string, line: number): boolean {
  for (const { index, 0: statement } of text.matchAll(/^import\b[^;]*?['"]$/gm)) {
    const first = text.slice(0, index).split('\n').length
    if (line >= first && line < first + statement.split('\n').length) return true
  }
  return false
}
