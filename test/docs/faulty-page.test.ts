import { rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeProject } from './built-package.ts'
import { CompiledBlocks } from './compile-blocks.ts'
import { type Block, blocksOf } from './pages.ts'
import { RunOfPages } from './run-blocks.ts'

// The checks of the pages find what is wrong: with a page whose every block is wrong, or depends on one before it.
const PAGE = 'docs/faulty.md'
const F = '```'
const blocks = blocksOf(
  PAGE,
  `# Faulty

${F}ts
// number.ts
import { Client, Pool } from 'pg'

export const n: string = 1
export const pool = new Pool()
${F}

${F}ts
import { n } from './number.js'

console.log(n, missing)
${F}

${F}ts
// number.ts
export const n = 1
${F}

${F}ts
import { n } from './number.js'

export const text: string = n
${F}

${F}ts legacy-decorators
import { n } from './number.js'

const property = (_target: object, _name: string) => {}
export class Counter {
  @property text: string = n
}
${F}

${F}js
const { Pool } = require('pg')

new Pool({ host: 1 })
${F}

${F}sql run
select nothing
${F}

${F}ts run
console.log('right')
${F}

${F}text output
wrong
${F}

${F}ts run
console.log('a number:', Math.random())
${F}

${F}text output
a number: …
${F}

${F}ts run
console.error('said')
${F}

${F}ts run
throw new Error('thrown')
${F}
`,
)

let project: string
let compiled: CompiledBlocks
let runs: RunOfPages

beforeAll(async () => {
  project = makeProject()
  const isCode = ({ language }: Block) => language === 'ts' || language === 'js'
  compiled = await CompiledBlocks.compile(project, [{ page: PAGE, blocks: blocks.filter(isCode) }])
  runs = new RunOfPages(compiled)
}, 120_000)

afterAll(async () => {
  await runs?.end()
  if (project) rmSync(project, { recursive: true, force: true })
})

describe('the checks of the pages', () => {
  it('find what does not compile, with its line', () => {
    const noString = "error TS2322: Type 'number' is not assignable to type 'string'."
    const faults = [
      [5, 10, "error TS6133: 'Client' is declared but its value is never read.", 3],
      [7, 14, noString, 3],
      [14, 16, "error TS2304: Cannot find name 'missing'.", 11],
      // From its second block on, the name means that one.
      [25, 14, noString, 22],
      [33, 13, noString, 28],
      [40, 12, noString, 37],
    ].map(([line, column, text, of]) => `${PAGE}:${line}:${column}: ${text} (in the block of line ${of})`)
    expect(compiled.faultsOf(PAGE).sort()).toEqual(faults.sort())
  })

  it('find what does not run, and what prints something else', { timeout: 60_000 }, async () => {
    expect(await runs.run({ page: PAGE, blocks })).toEqual([
      expect.stringContaining(`${PAGE}:43: error: column "nothing" does not exist`),
      expect.stringContaining(`${PAGE}:51: it printed something else:\nright`),
      expect.stringContaining(`${PAGE}:63: it ended with 0\nsaid`),
      expect.stringContaining(`${PAGE}:67: it ended with 1\n`),
    ])
  })
})
