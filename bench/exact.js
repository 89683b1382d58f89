/**
 * What exact pins are worth, and what they cost: which share of the reads replicas serve, how much longer a write takes, and
 * a read whose position is known. A real primary with two replicas on this machine, whose commits reach the disk.
 */
import { startPostgresCluster } from 'write-pinning/testing'
import { App, createTable } from './exact-cluster.js'
import { Session } from './exact-session.js'
import { printTable, show, summary, turn } from './rounds.js'

const SESSIONS = 16
const WRITERS = 32
const SHARE_ROUNDS = { rounds: 12, warmUp: 2, ms: 700 }
const WRITE_ROUNDS = { rounds: 40, warmUp: 6, each: 25 }
const READ_ROUNDS = { rounds: 40, warmUp: 6, each: 400 }

/** @type {readonly import('./exact-cluster.js').Kind[]} */
const KINDS = ['primary only', 'time pin', 'exact pin', 'no pin']

const cluster = await startPostgresCluster({
  replicas: 2,
  settings: { fsync: true, shared_buffers: '128MB', max_connections: 300 },
})
try {
  await createTable(cluster)
  const apps = await Promise.all(KINDS.map((kind) => App.open(cluster, kind)))
  console.log(`\n## Exact pins, Node.js ${process.versions.node}\n`)
  await compareShares(apps)
  await compareWrites(apps)
  await comparePinnedReads(apps)
  for (const app of apps) await app.close()
} finally {
  await cluster.stop()
}

/** @param {readonly App[]} apps */
async function compareShares(apps) {
  const totals = apps.map(() => ({ reads: 0, onReplicas: 0, stale: 0 }))
  const sessions = apps.map((app, index) =>
    Array.from({ length: SESSIONS }, (_, id) => new Session(app, index * SESSIONS + id)),
  )
  /** @type {number[][]} */
  const perSecond = []
  const { rounds, warmUp, ms } = SHARE_ROUNDS
  for (let round = 0; round < warmUp + rounds; round++) {
    /** @type {number[]} */
    const row = []
    for (const index of turn(apps.length, round)) {
      const untilMs = performance.now() + ms
      const counts = await Promise.all(sessions[index].map((session) => session.run(untilMs)))
      const sum = (/** @type {keyof typeof counts[0]} */ what) =>
        counts.reduce((all, each) => all + each[what], 0)
      row[index] = ((sum('reads') + sum('writes')) * 1000) / ms
      if (round < warmUp) continue
      totals[index].reads += sum('reads')
      totals[index].onReplicas += sum('onReplicas')
      totals[index].stale += sum('stale')
    }
    if (round >= warmUp) perSecond.push(row)
  }
  printTable(
    ['', 'reads', 'served by replicas', 'stale', 'operations per second, as a share of primary only’s'],
    KINDS.map((kind, index) => {
      const { reads, onReplicas, stale } = totals[index]
      const share = `${((100 * onReplicas) / reads).toFixed(1)} %`
      return [
        kind,
        String(reads),
        share,
        String(stale),
        show(summary(perSecond, (row) => row[index] / row[0])),
      ]
    }),
  )
}

/** @param {readonly App[]} apps */
async function compareWrites(apps) {
  const pair = [apps[KINDS.indexOf('time pin')], apps[KINDS.indexOf('exact pin')]]
  const [, exact] = pair
  const { rounds, warmUp, each } = WRITE_ROUNDS
  /** @type {number[][]} */
  const table = []
  let writes = 0
  for (let round = 0; round < warmUp + rounds; round++) {
    if (round === warmUp) Object.assign(exact.asked, { positions: 0, mostAtOnce: 0 })
    /** @type {number[]} */
    const row = []
    for (const index of turn(pair.length, round)) {
      const took = await Promise.all(
        Array.from({ length: WRITERS }, (_, id) => writeTimes(pair[index], id, each)),
      )
      const sorted = took.flat().sort((a, b) => a - b)
      row[index] = sorted.reduce((sum, ms) => sum + ms, 0) / sorted.length
      if (index === 1 && round >= warmUp) writes += sorted.length
    }
    if (round >= warmUp) table.push(row)
  }
  console.log()
  printTable(
    [
      `a write request, ${WRITERS} at a time`,
      'ms, time pin',
      'ms, exact pin',
      'ratio',
      'position reads per write',
      'under way at most',
    ],
    [
      [
        'mean',
        show(summary(table, ([time]) => time)),
        show(summary(table, ([, exact]) => exact)),
        show(
          summary(table, ([time, exact]) => exact / time),
          3,
        ),
        (exact.asked.positions / writes).toFixed(2),
        String(exact.asked.mostAtOnce),
      ],
    ],
  )
}

/**
 * @param {App} app
 * @param {number} id
 * @param {number} times
 */
async function writeTimes(app, id, times) {
  const took = []
  for (let write = 0; write < times; write++) {
    const startMs = performance.now()
    await app.write(id, write, undefined)
    took.push(performance.now() - startMs)
  }
  return took
}

/** @param {readonly App[]} apps */
async function comparePinnedReads(apps) {
  const app = apps[KINDS.indexOf('exact pin')]
  const cookie = await app.write(0, 0, undefined)
  await cluster.waitForCatchup()
  while (!(await app.read(0, cookie)).isOnReplica);
  const { rounds, warmUp, each } = READ_ROUNDS
  const before = app.asked.looks
  const cookies = [undefined, cookie]
  /** @type {number[][]} */
  const table = []
  for (let round = 0; round < warmUp + rounds; round++) {
    /** @type {number[]} */
    const row = []
    for (const index of turn(cookies.length, round)) {
      const startMs = performance.now()
      for (let read = 0; read < each; read++) await app.read(0, cookies[index])
      row[index] = ((performance.now() - startMs) * 1000) / each
    }
    if (round >= warmUp) table.push(row)
  }
  console.log()
  printTable(
    ['a read', 'µs, no pin', 'µs, exact pin whose position is known', 'ratio', 'looks'],
    [
      [
        'one at a time',
        show(
          summary(table, ([none]) => none),
          0,
        ),
        show(
          summary(table, ([, exact]) => exact),
          0,
        ),
        show(
          summary(table, ([none, exact]) => exact / none),
          3,
        ),
        String(app.asked.looks - before),
      ],
    ],
  )
}
