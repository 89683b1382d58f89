import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { promisify } from 'node:util'
import { builtPackage, makeProject } from './built-package.ts'
import { repository } from './pages.ts'

const run = promisify(execFile)
const tsc = path.join(repository, 'node_modules/typescript/bin/tsc')

const IMPORTS = `
import type { FastifyInstance } from 'fastify'
import type * as root from 'write-pinning'
import type * as aws from 'write-pinning/aws'
import type * as express from 'write-pinning/express'
import type * as fastify from 'write-pinning/fastify'
import type * as kysely from 'write-pinning/kysely'
import type * as pg from 'write-pinning/pg'
import type * as stores from 'write-pinning/stores'
import type * as testing from 'write-pinning/testing'
`

/**
 * Asks the compiler for the words that each of these types of the package consists of, such as `keyof pg.NodeObject` or
 * `root.RouteReason`: the entries are namespaces here, called after their folders, and `root` is `write-pinning` itself.
 */
export async function wordsOf<Name extends string>(
  types: Readonly<Record<Name, string>>,
): Promise<Record<Name, string[]>> {
  const project = makeProject()
  try {
    const names = Object.keys(types) as Name[]
    const first = IMPORTS.split('\n').length + 1
    // The compiler's refusal names every word of the union; each is made another, or it would name the union.
    const questions = names.map(
      (name, n) => `export const is${n}: 0 = null! as \`#\${${types[name]} & string}\``,
    )
    await writeFile(path.join(project, 'words.ts'), [IMPORTS, ...questions].join('\n'))
    const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023', '--types', 'node']
    const said = await run(
      process.execPath,
      [tsc, 'words.ts', ...options, '--skipLibCheck', '--noErrorTruncation', '--pretty', 'false'],
      { cwd: project },
    ).then(
      ({ stdout }) => stdout,
      ({ stdout }: { stdout: string }) => stdout,
    )
    const words = Object.fromEntries(names.map((name) => [name, [] as string[]])) as Record<Name, string[]>
    for (const message of said.split('\n').filter((line) => /^\S/.test(line))) {
      const [, line, union] =
        /^words\.ts\((\d+),\d+\): error TS2322: Type '(.*)' is not assignable/.exec(message) ?? []
      const name = names[Number(line) - first]
      const found = [...(union ?? '').matchAll(/"#([^"]+)"/g)].map(([, word]) => word as string)
      if (name === undefined || found.map((word) => `"#${word}"`).join(' | ') !== union)
        throw new Error(message)
      words[name] = found
    }
    return words
  } finally {
    await rm(project, { recursive: true, force: true })
  }
}

/** What the entries of the package export, types and values. */
export function exportedTypes(): string[] {
  const built = builtPackage()
  const { exports } = JSON.parse(readFileSync(path.join(built, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { import: { types: string } }>
  }
  const names = Object.values(exports).flatMap((entry) => {
    if (typeof entry === 'string') return []
    const text = readFileSync(path.join(built, entry.import.types), 'utf8').replace(/\/\*.*?\*\//gs, '')
    const lists = [...text.matchAll(/export (?:type )?\{([^}]*)\}/g)].map(([, list]) => list as string)
    return lists.flatMap((list) => list.split(',').map((each) => each.trim().split(/\s+/).at(-1) as string))
  })
  return [...new Set(names)].filter((name) => name !== '').sort()
}
