import { rmSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { buildProject } from '../testing/built-package.ts'

const FAMILIES_URL = new URL('../../bench/long-texts.js', import.meta.url).href
const { FAMILIES } = (await import(/* @vite-ignore */ FAMILIES_URL)) as { FAMILIES: Record<string, unknown> }

// Whatever a text holds, it is read in time that is proportional to its length: a text that blocks the event loop stops the whole
// service. Each is read in a thread of its own, which hangs where that is not so: then the test's own time is up.
let project: string
let worker: Worker | undefined

beforeAll(() => {
  project = buildProject(['sql/classifier.ts'], [])
})

afterEach(() => worker?.terminate())

afterAll(() => rmSync(project, { recursive: true, force: true }))

const PROGRAM = `
  const { parentPort, workerData } = require('node:worker_threads')
  const { classifier, families, family, lengths } = workerData
  Promise.all([import(classifier), import(families)]).then(([{ StatementClassifier }, { FAMILIES }]) => {
    const tables = { primaryTables: ['session'], unpinnedTables: ['last_seen'] }
    const classifier = new StatementClassifier({ ...tables, primaryFunctions: ['f'], replicaFunctions: [] })
    for (const length of lengths) parentPort.postMessage(classifier.classify(FAMILIES[family](length)).kind)
    parentPort.postMessage('done')
  })`

/** Reads texts of a family in a thread of its own; gives what each is. */
function read(family: string): Promise<string[]> {
  const kinds: string[] = []
  const started = new Worker(PROGRAM, {
    eval: true,
    workerData: {
      classifier: pathToFileURL(path.join(project, 'dist/sql/classifier.js')).href,
      families: FAMILIES_URL,
      family,
      lengths: [100_000, 1_000_000, 5_000_000],
    },
  })
  worker = started
  return new Promise((resolve, reject) => {
    started.on('error', reject)
    started.on('message', (kind: string) => {
      if (kind === 'done') resolve(kinds)
      else kinds.push(kind)
    })
  })
}

describe('a text of up to 5 MB is read at once, and the same at each length', () => {
  for (const family of Object.keys(FAMILIES)) {
    test(family, async () => {
      const kinds = await read(family)
      expect(kinds).toHaveLength(3)
      expect(new Set(kinds).size).toBe(1)
    })
  }
})
