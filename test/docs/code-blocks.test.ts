import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeProject } from './built-package.ts'
import { type CompiledPage, compileBlocks } from './compile-blocks.ts'
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
let runs: RunOfPages

beforeAll(() => {
  project = makeProject()
  runs = new RunOfPages()
}, MINUTE_MS)

afterAll(async () => {
  await runs?.end()
  if (project) rmSync(project, { recursive: true, force: true })
})

it('there are pages', () => {
  expect(pages, asked && `there is no page ${asked}`).not.toEqual([])
})

describe.each(pages)('$page', ({ page, blocks }) => {
  let compiled: CompiledPage | undefined
  const programs = blocks.filter(({ language }) => language === 'ts' || language === 'js')

  it('says what each block is', () => {
    expect(blocks.flatMap((block) => wrongFence(block, blocks) ?? [])).toEqual([])
  })

  it('has code that compiles', { timeout: MINUTE_MS }, async () => {
    compiled = await compileBlocks(project, page, programs)
    expect(compiled.faults.join('\n')).toBe('')
  })

  if (programs.some(isRun)) {
    it('has code that runs', { timeout: 2 * MINUTE_MS }, async () => {
      if (!compiled) throw new Error('its code does not compile')
      expect(await runs.run(page, blocks, compiled)).toEqual([])
    })
  }
})

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
