import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the repository. */
export const repository = fileURLToPath(new URL('../..', import.meta.url))

/** A fenced block of a page. */
export interface Block {
  readonly page: string
  /** The line of its opening fence; line `n` of its text is line `line + n` of the page. */
  readonly line: number
  readonly language: string
  /** What follows the language, such as `run`. */
  readonly words: readonly string[]
  readonly text: string
}

/** Every Markdown page that git has or would take, by its path from the root. */
export function markdownPages(): string[] {
  const options = ['ls-files', '--cached', '--others', '--exclude-standard', '*.md']
  const listed = execFileSync('git', options, { cwd: repository, encoding: 'utf8' })
  const pages = new Set(listed.split('\n').filter((page) => page !== ''))
  return [...pages].filter((page) => existsSync(path.join(repository, page))).sort()
}

export function readPage(page: string): string {
  const file = path.join(repository, page)
  if (!existsSync(file)) throw new Error(`there is no page ${page}`)
  return readFileSync(file, 'utf8')
}

/** The fenced blocks of a page, in their order. */
export function blocksOf(page: string, text = readPage(page)): Block[] {
  const blocks: Block[] = []
  let open: { fence: string; line: number; info: string; lines: string[] } | undefined
  for (const [index, line] of text.split('\n').entries()) {
    const fence = /^ {0,3}(`{3,}|~{3,})\s*(.*)$/.exec(line)
    if (open === undefined) {
      if (fence) open = { fence: fence[1] as string, line: index + 1, info: fence[2] as string, lines: [] }
    } else if (fence?.[1]?.startsWith(open.fence) && fence[2] === '') {
      const [language = '', ...words] = open.info.trim().split(/\s+/)
      blocks.push({ page, line: open.line, language, words, text: `${open.lines.join('\n')}\n` })
      open = undefined
    } else {
      open.lines.push(line)
    }
  }
  if (open) throw new Error(`${page}:${open.line}: this block has no end`)
  return blocks
}
