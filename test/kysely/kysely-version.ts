import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The version of Kysely that is installed, as `0.28` or `0.29`. */
export const kyselyVersion: string = installedKysely()

function installedKysely(): string {
  const entry = fileURLToPath(import.meta.resolve('kysely'))
  const root = entry.slice(0, entry.lastIndexOf('/dist/'))
  const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string }
  return version.split('.').slice(0, 2).join('.')
}
