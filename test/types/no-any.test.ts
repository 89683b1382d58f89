import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { builtPackage } from '../docs/built-package.ts'

it('no public declaration has an `any`', { timeout: 60_000 }, () => {
  const built = builtPackage()
  const { exports } = JSON.parse(readFileSync(path.join(built, 'package.json'), 'utf8')) as {
    exports: Record<string, string | Record<'import' | 'require', { types: string }>>
  }
  const files = new Set(
    Object.values(exports).flatMap((entry) =>
      typeof entry === 'string'
        ? []
        : [path.join(built, entry.import.types), path.join(built, entry.require.types)],
    ),
  )
  const found: string[] = []
  // A set is walked to its end, also through what is added meanwhile.
  for (const file of files) {
    const code = withoutComments(readFileSync(file, 'utf8'))
    for (const [, imported] of code.matchAll(/(?:from|import\()\s*['"](\.[^'"]+)['"]/g)) {
      files.add(declarationOf(path.resolve(path.dirname(file), imported as string)))
    }
    for (const line of code.split('\n')) {
      if (/\bany\b/.test(line.replace(/(['"]).*?\1/g, ''))) {
        found.push(`${path.relative(built, file)}: ${line.trim()}`)
      }
    }
  }
  expect(files.size).toBeGreaterThan(20)
  expect(found).toEqual([])
})

function declarationOf(imported: string): string {
  const file = imported.replace(/\.([cm]?)[jt]s$/, '.d.$1ts')
  if (!existsSync(file)) throw new Error(`${imported} has no declaration`)
  return file
}

function withoutComments(code: string): string {
  return code.replace(/\/\*.*?\*\//gs, '').replace(/\/\/.*$/gm, '')
}
