import { chmodSync, mkdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildProject } from './built-package.ts'
import {
  alive,
  type ClusterProcess,
  clusterDirectories,
  clusterProcesses,
  runScript,
  sharedMemory,
  sharedMemoryOf,
} from './cluster-process.ts'
import { eventually } from './eventually.ts'

let project: string
let temporary: string

beforeAll(() => {
  project = buildProject()
  chmodSync(project, 0o755)
  temporary = path.join(project, 'tmp')
  mkdirSync(temporary)
})

afterAll(() => rmSync(project, { recursive: true, force: true }))

const START = 'const cluster = await startPostgresCluster();'

const endings: [how: string, script: string, end: (started: ClusterProcess) => void][] = [
  ['stop, twice', `${START} await ready(); await cluster.stop(); await cluster.stop()`, ({ goOn }) => goOn()],
  ['SIGKILL', `${START} await ready()`, ({ pid }) => process.kill(pid, 'SIGKILL')],
  ['Ctrl-C in its terminal', `${START} await ready()`, ({ pid }) => process.kill(-pid, 'SIGINT')],
  ['process.exit', `${START} await ready(); process.exit(3)`, ({ goOn }) => goOn()],
  ['an uncaught exception', `${START} await ready(); throw new Error('uncaught')`, ({ goOn }) => goOn()],
  [
    'its natural end, without stop',
    `${START} await cluster.primary.query('select 1'); await ready()`,
    ({ goOn }) => goOn(),
  ],
  [
    'SIGKILL during the start',
    `await startPostgresCluster({ onProgress: ready })`,
    ({ pid }) => process.kill(pid, 'SIGKILL'),
  ],
  [
    'SIGKILL, with a dead and a frozen node',
    `${START} await cluster.primary.kill(); await cluster.replicas[0].freeze(); await ready()`,
    ({ pid }) => process.kill(pid, 'SIGKILL'),
  ],
]

test.each(endings)('nothing is left of a cluster whose process ended by %s', async (_how, script, end) => {
  const started = await runScript(project, temporary, script)
  const processes = clusterProcesses(temporary)
  const segments = sharedMemoryOf(temporary)
  expect(processes.length).toBeGreaterThan(1)
  expect(segments.length).toBeGreaterThan(0)
  end(started)
  await started.ended
  await eventually(() => alive(processes).length === 0)
  expect(clusterDirectories(temporary)).toEqual([])
  expect(sharedMemory().filter((segment) => segments.includes(segment))).toEqual([])
})
