import { readFileSync } from 'node:fs'
import path from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { clusterNodes } from '../../src/nodes/node-options.ts'
import { pinningSettings } from '../../src/pinning/options.ts'
import { clusterSettings } from '../../src/routing/options.ts'
import { checkOptions } from '../../src/testing/cluster-options.ts'
import { repository } from './pages.ts'
import { exportedTypes, wordsOf } from './public-types.ts'
import { differences, namesIn, type Row, sectionsOf } from './tables.ts'

const PAGE = 'docs/options.md'

/** Every type of options that the package has, by what a heading of the page calls it. */
const OPTIONS = {
  WritePinningOptions: 'keyof (fastify.WritePinningOptions | express.WritePinningOptions)',
  CookieOptions: "keyof NonNullable<fastify.WritePinningOptions['cookie']>",
  RouteMarks: 'keyof express.RouteMarks',
  PrimaryReplicaPoolOptions: 'keyof pg.PrimaryReplicaPoolOptions',
  PrimaryReplicaDialectOptions:
    'Exclude<keyof kysely.PrimaryReplicaDialectOptions | "controlClient", keyof pg.PrimaryReplicaPoolOptions>',
  NodeObject: 'keyof pg.NodeObject',
  DiscoverOptions: 'keyof pg.DiscoverOptions',
  CapturePinOptions: 'keyof root.CapturePinOptions',
  RunWithPinOptions: 'keyof root.RunWithPinOptions',
  PinAccountOptions: 'keyof root.PinAccountOptions',
  MemoryPinStoreOptions: 'keyof stores.MemoryPinStoreOptions',
  RedisPinStoreOptions: 'keyof stores.RedisPinStoreOptions',
  RdsIamPasswordOptions: 'keyof aws.RdsIamPasswordOptions',
  PostgresClusterOptions: 'keyof testing.PostgresClusterOptions',
}

type Name = keyof typeof OPTIONS
const NAMES = Object.keys(OPTIONS) as Name[]

let words: Record<Name, string[]>

beforeAll(async () => {
  words = await wordsOf(OPTIONS)
}, 60_000)

describe(PAGE, () => {
  it.each(NAMES)('has a row for each option of %s, and for no other', (name) => {
    const found = rowsOf(name).flatMap(({ cells }) => namesIn(cells[0] ?? ''))
    expect(differences(found, words[name])).toEqual([])
  })

  it('knows every type of options that the package exports', () => {
    expect(exportedTypes().filter((name) => /(Options|Marks)$/.test(name) && !(name in OPTIONS))).toEqual([])
  })

  it.each(Object.entries(defaults()) as [Name, Defaults][])('has the defaults of %s', (name, values) => {
    const wrong = rowsOf(name).flatMap(({ line, cells }) => {
      const [option = ''] = namesIn(cells[0] ?? '')
      if (!(option in values) || isDefault(cells[1] ?? '', values[option])) return []
      return [`${PAGE}:${line}: the default of ${option} is ${shown(values[option])}, and not ${cells[1]}`]
    })
    expect(wrong).toEqual([])
  })
})

/** The rows of the tables of options, those with a column of defaults. */
function rowsOf(name: Name): Row[] {
  const section = sectionsOf(PAGE).find(({ names }) => names.includes(name))
  if (section === undefined) throw new Error(`${PAGE} has no heading that names \`${name}\``)
  const tables = section.tables.filter(
    ({ header }) => /^(option|mark)$/i.test(header[0] ?? '') && /^default$/i.test(header[1] ?? ''),
  )
  return tables.flatMap((table) => table.rows)
}

type Defaults = Readonly<Record<string, unknown>>

/** What the code takes where an option is not given, as far as that is one value. */
function defaults(): Partial<Record<Name, Defaults>> {
  const url = 'postgres://app@127.0.0.1/app'
  const { cookie, readMethods, accounts: _accounts, ...pinning } = pinningSettings('', {})
  const {
    name,
    nodes: _nodes,
    classifier,
    replicaSet,
    ...cluster
  } = clusterSettings('', {
    primary: url,
    replicas: [],
  })
  const { primaryTables: _always, ...names } = classifier
  const nodes = clusterNodes('', url, [{ pool: url, discover: { host: 'db' } }])
  const { openPool: _open, role: _role, discover, name: _name, ...node } = nodes.replicas[0] ?? {}
  const { settings: _settings, ...testCluster } = checkOptions({})
  return {
    WritePinningOptions: { ...pinning, readMethods: [...readMethods] },
    CookieOptions: { ...cookie },
    PrimaryReplicaPoolOptions: { name, ...names, primaryTables: [], ...cluster, ...replicaSet },
    NodeObject: node,
    DiscoverOptions: { intervalMs: discover?.intervalMs },
    PostgresClusterOptions: testCluster,
    MemoryPinStoreOptions: {
      maxAccounts: Number(
        inSource('stores/memory-pin-store.ts', /'maxAccounts', ([\d_]+),/).replaceAll('_', ''),
      ),
    },
    RedisPinStoreOptions: { prefix: inSource('stores/redis-pin-store.ts', /'prefix', '(.*?)',/) },
  }
}

/** A default that only a call has. */
function inSource(file: string, call: RegExp): string {
  const text = readFileSync(path.join(repository, 'src', file), 'utf8')
  const [, value] = call.exec(text) ?? []
  if (value === undefined) throw new Error(`src/${file} has no ${call}`)
  return value
}

function isDefault(cell: string, value: unknown): boolean {
  if (typeof value === 'function') return true
  const literals = namesIn(cell).map((text) => text.replace(/(?<=\d)[_,](?=\d{3})/g, '').replaceAll('"', "'"))
  if (value === undefined) return !literals.some((text) => /^(\d+|true|false|'.*'|\[.*\])$/.test(text))
  return literals.some((text) => text.replaceAll(' ', '') === shown(value).replaceAll(' ', ''))
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  if (Array.isArray(value)) return `[${value.map(shown).join(', ')}]`
  return String(value)
}
