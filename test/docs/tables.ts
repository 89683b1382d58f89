import { readPage } from './pages.ts'

/** The tables under one heading that names something in backticks. */
export interface Section {
  /** What the heading names, such as `CookieOptions`. */
  readonly names: readonly string[]
  readonly line: number
  readonly tables: readonly Table[]
}

export interface Table {
  readonly header: readonly string[]
  readonly rows: readonly Row[]
}

export interface Row {
  readonly line: number
  readonly cells: readonly string[]
}

/** The headings of a page that name something in backticks, and the tables under each, up to the next such heading. */
export function sectionsOf(page: string): Section[] {
  const sections: { names: string[]; line: number; tables: { header: string[]; rows: Row[] }[] }[] = []
  let isInBlock = false
  let table: { header: string[]; rows: Row[] } | undefined
  for (const [index, text] of readPage(page).split('\n').entries()) {
    const line = index + 1
    if (/^ {0,3}(```|~~~)/.test(text)) isInBlock = !isInBlock
    if (isInBlock) continue
    const names = /^#{2,}\s/.test(text) ? namesIn(text) : []
    if (names.length > 0) sections.push({ names, line, tables: [] })
    if (!text.startsWith('|')) {
      table = undefined
      continue
    }
    const cells = cellsOf(text)
    if (table === undefined) {
      table = { header: cells, rows: [] }
      sections.at(-1)?.tables.push(table)
    } else if (!cells.every((cell) => /^:?-+:?$/.test(cell))) {
      table.rows.push({ line, cells })
    }
  }
  return sections
}

/** What stands in backticks. */
export function namesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, name]) => name as string)
}

function cellsOf(row: string): string[] {
  const inner = row
    .trim()
    .replace(/^\|/, '')
    .replace(/(?<!\\)\|$/, '')
  return inner.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll('\\|', '|'))
}

/** How names differ from those that they should be: what is missing, what is too many, what is there twice; empty where nothing is. */
export function differences(found: readonly string[], expected: readonly string[]): string[] {
  const twice = found.filter((name, index) => found.indexOf(name) !== index)
  return [
    ...expected.filter((name) => !found.includes(name)).map((name) => `${name} is missing`),
    ...found.filter((name) => !expected.includes(name)).map((name) => `${name} does not exist`),
    ...twice.map((name) => `${name} is there twice`),
  ]
}
