import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { markdownPages, readPage, repository } from './pages.ts'

const LLMS = 'llms.txt'
const MAX_README_LINES = 200

const pages = markdownPages()
const withIndex = existsSync(path.join(repository, LLMS)) ? [...pages, LLMS] : pages
const files = new Set(
  execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: repository,
    encoding: 'utf8',
  }).split('\n'),
)
const docs = pages.filter((page) => page.startsWith('docs/'))

interface Link {
  readonly line: number
  /** As the page has it. */
  readonly target: string
  /** The file, from the root; empty for the root itself. */
  readonly file: string
  readonly anchor: string | undefined
}

describe.each(withIndex)('%s', (page) => {
  it('has links that lead somewhere', () => {
    expect(linksOf(page).flatMap((link) => whatIsWrong(page, link) ?? [])).toEqual([])
  })
})

describe.each(pages)('%s', (page) => {
  it('has one title, before all else', () => {
    const titles = proseOf(page).filter(({ text }) => /^# /.test(text))
    expect(titles.map(({ line }) => line)).toEqual([1])
  })
})

describe.each([...docs, 'README.md', 'CHANGELOG.md', LLMS].filter((page) => withIndex.includes(page)))(
  'the packed page %s',
  (page) => {
    it('leads to nothing that is not packed', () => {
      const outside = linksOf(page).filter(({ file }) => !isPacked(file))
      expect(outside.map(({ line, target }) => `${page}:${line}: ${target} is not packed`)).toEqual([])
    })
  },
)

describe('the pages', () => {
  it(`are all listed in ${LLMS}`, () => {
    const listed = linksOf(LLMS).map(({ file }) => file)
    expect(['README.md', ...docs].filter((page) => !listed.includes(page))).toEqual([])
  })

  it('are all reached from README', () => {
    const reached = new Set(['README.md'])
    // A set is walked to its end, also through what is added meanwhile.
    for (const page of reached) {
      for (const { file } of linksOf(page)) if (pages.includes(file)) reached.add(file)
    }
    expect(docs.filter((page) => !reached.has(page))).toEqual([])
  })

  it(`are short where they begin: README has at most ${MAX_README_LINES} lines`, () => {
    expect(readPage('README.md').trimEnd().split('\n').length).toBeLessThanOrEqual(MAX_README_LINES)
  })
})

/** The lines of a page that are neither in a block nor code. */
function proseOf(page: string): { line: number; text: string }[] {
  let fence: string | undefined
  return readPage(page)
    .split('\n')
    .flatMap((text, index) => {
      const [, mark] = /^\s*(`{3,}|~{3,})/.exec(text) ?? []
      if (mark !== undefined && (fence === undefined || mark.startsWith(fence))) {
        fence = fence === undefined ? mark : undefined
        return []
      }
      return fence === undefined ? [{ line: index + 1, text }] : []
    })
}

/** The links of a page to files of the repository. */
function linksOf(page: string): Link[] {
  return proseOf(page).flatMap(({ line, text }) => {
    const prose = text.replace(/`[^`]*`/g, (code) => code.replaceAll(']', ' '))
    const targets = [
      ...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g),
      ...prose.matchAll(/^\s*\[[^\]]+\]:\s*(\S+)/g),
      ...prose.matchAll(/(?:href|src)="([^"]+)"/g),
    ].map(([, target]) => target as string)
    return targets
      .filter((target) => !/^[a-z][a-z+.-]*:/i.test(target))
      .map((target) => {
        const [to, anchor] = target.split('#') as [string, string?]
        const file = to === '' ? page : path.posix.join(path.posix.dirname(page), decodeURI(to))
        return { line, target, file: file.replace(/^\.?\/?|\/$/g, ''), anchor }
      })
  })
}

function whatIsWrong(page: string, { line, target, file, anchor }: Link): string | undefined {
  const at = `${page}:${line}: ${target}`
  if (file.startsWith('..') || target.startsWith('/')) return `${at} leads out of the repository`
  const isDirectory = file === '' || [...files].some((each) => each.startsWith(`${file}/`))
  if (!isDirectory && !(files.has(file) && existsSync(path.join(repository, file)))) {
    return `${at} leads nowhere`
  }
  if (anchor !== undefined && (!file.endsWith('.md') || !anchorsOf(file).includes(anchor))) {
    return `${at} leads to no heading of ${file}`
  }
  return undefined
}

/** The anchors that GitHub makes of a page's headings. */
function anchorsOf(page: string): string[] {
  const counts = new Map<string, number>()
  return proseOf(page).flatMap(({ text }) => {
    const [, heading] = /^#{1,6}\s+(.*?)\s*#*$/.exec(text) ?? []
    if (heading === undefined) return []
    const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[`*]/g, '')
    const anchor = words
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}_ -]/gu, '')
      .replaceAll(' ', '-')
    const count = counts.get(anchor) ?? 0
    counts.set(anchor, count + 1)
    return [count === 0 ? anchor : `${anchor}-${count}`]
  })
}

function isPacked(file: string): boolean {
  const { files: packed } = JSON.parse(readFileSync(path.join(repository, 'package.json'), 'utf8')) as {
    files: string[]
  }
  // These npm packs in any case.
  const all = [...packed, 'README.md', 'LICENSE', 'package.json']
  return all.some((each) => file === each || file.startsWith(`${each}/`))
}
