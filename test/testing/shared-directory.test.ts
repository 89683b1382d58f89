import { chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { sharedDirectory } from '../../src/testing/shared-directory.ts'

const isRoot = process.getuid?.() === 0

let root: string
let filled: number

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'write-pinning-shared-'))
  filled = 0
})

afterEach(() => rmSync(root, { recursive: true, force: true }))

/** As one cluster does it, with a directory of its own. */
function share(): Promise<string> {
  const clusterDirectory = mkdtempSync(path.join(root, 'cluster-'))
  return sharedDirectory({
    name: 'thing',
    temporaryRoot: root,
    clusterDirectory,
    async fill(directory) {
      filled++
      mkdirSync(path.join(directory, 'sub'))
      writeFileSync(path.join(directory, 'sub', 'file'), 'content', { mode: 0o600 })
    },
  })
}

test('what was made once is shared', async () => {
  const first = await share()
  expect(await share()).toBe(first)
  expect(filled).toBe(1)
})

test('two that make it at once end up with the same', async () => {
  const [first, second] = await Promise.all([share(), share()])
  expect(first).toBe(second)
  expect(readdirSync(path.join(first, 'sub'))).toEqual(['file'])
})

test('what lost a file to a cleaning of the temporary directory is made again', async () => {
  const first = await share()
  rmSync(path.join(first, 'sub', 'file'))
  expect(await share()).toBe(first)
  expect(filled).toBe(2)
  expect(existsSync(path.join(first, 'sub', 'file'))).toBe(true)
})

test.skipIf(!isRoot)('what belongs to another user is not used (needs root, to make such)', async () => {
  const first = await share()
  chownSync(first, 65534, 65534)
  const second = await share()
  expect(second).not.toBe(first)
  expect(second.startsWith(path.join(root, 'cluster-'))).toBe(true)
})
