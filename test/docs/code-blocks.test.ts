import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeProject } from './built-package.ts'
import { CompiledBlocks } from './compile-blocks.ts'
import { type Block, blocksOf, markdownPages } from './pages.ts'
import { RunOfPages } from './run-blocks.ts'

const MINUTE_MS = 60_000
/** What else the blocks of a page are written in. */
const UNCHECKED = new Set([
  ...['sh', 'sql', 'ini', 'yaml', 'json', 'text', 'http', 'html', 'css', 'toml', 'nginx', 'dockerfile'],
  ...['diff', 'mermaid', 'prisma', 'graphql', 'python', 'ruby', 'php', 'java', 'csv'],
])
const WORDS: Readonly<Record<string, readonly string[]>> = {
  ts: ['run', 'legacy-decorators'],
  js: ['run'],
  sql: ['run'],
  text: ['output'],
}

// Of one page: PAGE=docs/pins.md npx vitest run test/docs/code-blocks.test.ts
const asked = process.env.PAGE?.replace(/^\.\//, '')
const pages = markdownPages()
  .filter((page) => /^(README|CONTRIBUTING|docs\/.*|example-app\/README)\.md$/.test(page))
  .filter((page) => asked === undefined || page === asked)
  .map((page) => ({ page, blocks: blocksOf(page) }))

let project: string
let compiled: CompiledBlocks
let runs: RunOfPages

beforeAll(async () => {
  project = makeProject()
  compiled = await CompiledBlocks.compile(
    project,
    pages.map(({ page, blocks }) => ({ page, blocks: blocks.filter(isCode) })),
  )
  runs = new RunOfPages(compiled)
}, 3 * MINUTE_MS)

afterAll(async () => {
  await runs?.end()
  if (project) rmSync(project, { recursive: true, force: true })
})

it('there are pages', () => {
  expect(pages, asked && `there is no page ${asked}`).not.toEqual([])
})

describe.each(pages)('$page', ({ page, blocks }) => {
  it('says what each block is', () => {
    expect(blocks.flatMap((block) => wrongFence(block, blocks) ?? [])).toEqual([])
  })

  it('has code that compiles', () => {
    expect(compiled.faultsOf(page).join('\n')).toBe('')
  })
})

describe.concurrent.each(pages.filter(({ blocks }) => blocks.some(isRun)))('$page', ({ page, blocks }) => {
  it('has code that runs', { timeout: 5 * MINUTE_MS }, async () => {
    expect(await runs.run({ page, blocks })).toEqual([])
  })
})

function isCode({ language }: Block): boolean {
  return language === 'ts' || language === 'js'
}

function isRun({ words }: Block): boolean {
  return words.includes('run')
}

/** What is wrong with the opening line of a block. */
function wrongFence(block: Block, blocks: readonly Block[]): string | undefined {
  const { page, line, language, words } = block
  const at = `${page}:${line}`
  if (language === '') return `${at}: the block names no language; plain text is \`text\``
  if (!(language in WORDS) && !UNCHECKED.has(language)) {
    return `${at}: \`${language}\` is not known here; TypeScript is \`ts\`, CommonJS \`js\`, a command \`sh\``
  }
  const wrong = words.filter((word) => !WORDS[language]?.includes(word))
  if (wrong.length > 0) return `${at}: \`${language} ${wrong.join(' ')}\` is not known`
  const before = blocks[blocks.indexOf(block) - 1]
  if (words.includes('output') && !(before && isRun(before) && before.language !== 'sql')) {
    return `${at}: \`text output\` follows no block that is run`
  }
  return undefined
}
