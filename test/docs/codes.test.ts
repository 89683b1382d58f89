import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { readPage, repository } from './pages.ts'
import { wordsOf } from './public-types.ts'
import { differences, namesIn, sectionsOf } from './tables.ts'

const ERRORS = 'docs/errors.md'
const OBSERVABILITY = 'docs/observability.md'
/** Names of the same form that are no codes. */
const ENVIRONMENT = ['WRITE_PINNING_MODE', 'WRITE_PINNING_REPLICA_SHARE']

/** What a table of the page on observability lists in its first column, by what its heading names. */
const LISTED = {
  RouteReason: 'root.RouteReason',
  PinReason: 'root.PinReason',
  IgnoredPinReason: 'root.IgnoredPinReason',
  NodeChange: 'root.NodeChange',
  Unfitness: 'pg.Unfitness',
  ClusterStatus: 'keyof pg.ClusterStatus',
  NodeStatus: 'keyof pg.NodeStatus',
  NodeCounts: 'keyof pg.NodeCounts',
  PinCounts: "keyof FastifyInstance['writePinning']['counts']",
  RouteEvent: 'keyof root.RouteEvent',
  PinEvent: 'keyof root.PinEvent',
  NodeEvent: 'keyof root.NodeEvent',
  IgnoredPinEvent: 'keyof root.IgnoredPinEvent',
  LateWriteEvent: 'keyof root.LateWriteEvent',
}

let words: Record<keyof typeof LISTED | 'ErrorCode', string[]>

beforeAll(async () => {
  words = await wordsOf({ ...LISTED, ErrorCode: 'root.WritePinningErrorCode' })
}, 60_000)

describe(ERRORS, () => {
  it('has an entry for each code of an error, and for no other', () => {
    const found = entriesOf(ERRORS).filter((code) => code.startsWith('ERR_'))
    expect(differences(found, words.ErrorCode)).toEqual([])
  })

  it('has an entry for each code of a warning, and for no other', () => {
    const found = entriesOf(ERRORS).filter((code) => !code.startsWith('ERR_'))
    expect(differences(found, warningCodes())).toEqual([])
  })
})

describe(OBSERVABILITY, () => {
  it.each(Object.keys(LISTED) as (keyof typeof LISTED)[])('has a row for each word of %s', (name) => {
    const section = sectionsOf(OBSERVABILITY).find(({ names }) => names.includes(name))
    if (section === undefined) throw new Error(`${OBSERVABILITY} has no heading that names \`${name}\``)
    const rows = section.tables.flatMap((table) => table.rows)
    const found = rows.flatMap(({ cells }) => namesIn(cells[0] ?? ''))
    expect(differences(found, words[name])).toEqual([])
  })
})

/** The codes that are the subject of a heading or of a row. */
function entriesOf(page: string): string[] {
  const subjects = readPage(page)
    .split('\n')
    .map((line) => (/^#{2,}\s/.test(line) ? line : (/^\|([^|]*)\|/.exec(line)?.[1] ?? '')))
  return subjects.flatMap(namesIn).filter((name) => /^(ERR_)?WRITE_PINNING_[A-Z_]+$/.test(name))
}

function warningCodes(): string[] {
  const codes = new Set<string>()
  const source = path.join(repository, 'src')
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const text = readFileSync(path.join(source, file), 'utf8')
    for (const [, code] of text.matchAll(/'(WRITE_PINNING_[A-Z_]+)'/g)) codes.add(code as string)
  }
  return [...codes].filter((code) => !ENVIRONMENT.includes(code)).sort()
}
