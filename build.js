/**
 * Builds `dist`, the package as ES modules, and `dist/cjs`, the same as CommonJS. `commonjs/` adds to the second what
 * the compiler does not write.
 *
 * There, an `import()` of an optional package is a `require()`. Jest has no `import()` in CommonJS, and every Node.js
 * on which this package runs can load ES modules by `require()`.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('.', import.meta.url))
const inRoot = (name) => path.join(root, name)

rmSync(inRoot('dist'), { recursive: true, force: true })
for (const project of ['tsconfig.build.json', 'tsconfig.cjs.json']) compile(project)
giveUrls(inRoot('dist/cjs'))
for (const entry of ['knex', 'kysely', 'pg'])
  prepend(inRoot(`dist/cjs/${entry}/index.js`), "'use strict'\nrequire('./peer.js')\n")
cpSync(inRoot('commonjs'), inRoot('dist/cjs'), { recursive: true })

function compile(project) {
  const compiler = inRoot('node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', inRoot(project)], { stdio: 'inherit' })
}

/**
 * An entry loads its peer before all else, so that it can say what to install. (An ES module cannot: its imports come
 * first.)
 */
function prepend(file, line) {
  writeFileSync(file, line + readFileSync(file, 'utf8'))
}

/** CommonJS has no `import.meta`. Writes an expression that gives the same URL. */
function giveUrls(directory) {
  for (const name of readdirSync(directory, { recursive: true })) {
    if (!name.endsWith('.js')) continue
    const file = path.join(directory, name)
    const source = readFileSync(file, 'utf8')
    if (!source.includes('import.meta')) continue
    writeFileSync(
      file,
      source.replaceAll('import.meta.url', "require('node:url').pathToFileURL(__filename).href"),
    )
  }
}
