import { loadModule } from 'libpg-query'
import { beforeAll, expect, test } from 'vitest'
import { StatementClassifier } from '../../src/sql/classifier.ts'
import { hasOtherReading } from '../../src/sql/lexer.ts'
import { useCluster } from '../support/shop.ts'
import { disguise } from './disguise.ts'
import { mutate } from './mutate.ts'
import { parse } from './parse-tree.ts'
import { Random } from './random.ts'
import { readCatalog } from './read-catalog.ts'
import { Statements } from './statements.ts'
import { VOLATILE_CALLS } from './vocabulary.ts'

/**
 * Compares the classifier with PostgreSQL's own parser. WRITE_PINNING_SEED chooses other statements, and
 * WRITE_PINNING_STATEMENTS more of them.
 */
const SEED = Number(process.env.WRITE_PINNING_SEED ?? 20_260_101)
const COUNT = Number(process.env.WRITE_PINNING_STATEMENTS ?? 50_000)
const GARBLED = COUNT / 5
const LONG = 600_000

const { cluster } = useCluster({
  replicas: 0,
  sql: `create function "Log Access"(a text = '') returns text language sql as 'select a'`,
})
const classifiers: StatementClassifier[] = []

beforeAll(async () => {
  console.log(`The seed is ${SEED}.`)
  await loadModule()
  const informed = new StatementClassifier(NO_NAMES)
  informed.catalog = await readCatalog(
    (text, values) => cluster.primary.query(text, values as unknown[]),
    NO_NAMES,
  )
  classifiers.push(new StatementClassifier(NO_NAMES), informed)
}, 60_000)

test('no text that writes, locks or calls a volatile function is called a read', {
  timeout: LONG,
}, () => {
  const random = new Random(SEED)
  const harmless = new Statements(random, 0)
  const seldom = new Statements(random, 0.06)
  const often = new Statements(random, 0.2)
  const falseReads: string[] = []
  const counts = { parsed: 0, plain: 0, read: 0 }
  while (counts.parsed < COUNT) {
    const tokens = random.pick([harmless, seldom, often, often]).statement()
    const sql = disguise(tokens, random, random.pick([0, 0.1, 0.4]))
    const verdict = compare(sql)
    if (verdict === undefined) continue
    counts.parsed++
    // The parser reads it as where `standard_conforming_strings` is on; where that is not so, it may be more than a read.
    const isPlainEverywhere = verdict.isPlain && !hasOtherReading(sql)
    if (isPlainEverywhere) counts.plain++
    if (isPlainEverywhere && verdict.isRead) counts.read++
    if (!verdict.isPlain && verdict.isRead) falseReads.push(sql)
  }
  console.log(`${counts.parsed} statements, ${counts.plain} plain reads, ${counts.read} of them called so.`)
  expect(shortest(falseReads)).toEqual([])
  expect(counts.read / counts.plain).toBeGreaterThan(0.95)
})

test('no statement that was garbled is called a read where the parser sees more', { timeout: LONG }, () => {
  const random = new Random(SEED + 1)
  const statements = new Statements(random, 0.08)
  const falseReads: string[] = []
  let parsed = 0
  for (let count = 0; count < GARBLED; count++) {
    const sql = mutate(statements.statement(), random)
    const verdict = compare(sql)
    if (verdict !== undefined) parsed++
    if (verdict?.isRead === true && !verdict.isPlain) falseReads.push(sql)
  }
  console.log(`${GARBLED} garbled statements, of which the parser takes ${parsed}.`)
  expect(shortest(falseReads)).toEqual([])
})

/** What parser and classifiers say; undefined where the parser refuses the text, which must not crash the classifier. */
function compare(sql: string): { isPlain: boolean; isRead: boolean } | undefined {
  const statements = classifiers.map((each) => each.classify(sql))
  const reads = statements.map(({ kind }) => kind === 'read')
  // Whether an attribute is a call the catalog has to say first.
  const mayBeRead = statements.map(
    ({ unknownCall }, at) => reads[at] === true || unknownCall?.isAttribute === true,
  )
  const parsed = parse(sql)
  if (parsed === undefined) return undefined
  const isPlain = parsed.isPlainRead && ![...parsed.calls].some((name) => VOLATILE_CALLS.has(name))
  // A plain read has to be seen by both, anything else to be kept from the replicas by both.
  return { isPlain, isRead: isPlain ? mayBeRead.every(Boolean) : reads.some(Boolean) }
}

function shortest(texts: string[]): string[] {
  return texts.toSorted((a, b) => a.length - b.length).slice(0, 10)
}

const NO_NAMES = { primaryTables: [], unpinnedTables: [], primaryFunctions: [], replicaFunctions: [] }
