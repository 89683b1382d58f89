/**
 * What do exact pins gain, and what do they cost? Measures the share of reads that replicas serve, and how much
 * longer a write takes, and a read whose position is known. Uses a real primary with two replicas on this machine,
 * whose commits reach the disk.
 */
import { startPostgresCluster } from 'write-pinning/testing'
import { App, createTable } from './exact-cluster.js'
import { Session } from './exact-session.js'
import { printTable, show, summary, turn } from './rounds.js'

const SESSIONS = 16
const WRITERS = [1, 32]
const SHARE_ROUNDS = { rounds: 12, warmUp: 2, ms: 700 }
const WRITE_ROUNDS = { rounds: 60, warmUp: 8, writes: 480 }
const READ_ROUNDS = { rounds: 60, warmUp: 10, each: 300 }

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
  const rows = []
  for (const writers of WRITERS) rows.push(await compareWritesOf(pair, writers))
  const head = ['ms, time pin', 'ms, exact pin', 'ratio', 'ms held for the position', 'share of the request']
  console.log()
  printTable(['writers', ...head, 'position reads per write', 'at most at a time'], rows)
}

/**
 * @param {readonly App[]} pair
 * @param {number} writers
 */
async function compareWritesOf(pair, writers) {
  const [, exact] = pair
  const { rounds, warmUp, writes } = WRITE_ROUNDS
  /** @type {number[][]} each row: the mean time of a write, then how long its response was on its way, by application */
  const table = []
  for (let round = 0; round < warmUp + rounds; round++) {
    if (round === warmUp) Object.assign(exact.asked, { positions: 0, mostAtOnce: 0 })
    /** @type {number[]} */
    const row = []
    for (const index of turn(pair.length, round)) {
      const app = pair[index]
      app.sendingMs = 0
      const writing = Array.from({ length: writers }, (_, id) => writeTimes(app, id, writes / writers))
      const took = (await Promise.all(writing)).flat()
      row[index] = took.reduce((sum, ms) => sum + ms, 0) / took.length
      row[pair.length + index] = app.sendingMs / took.length
    }
    if (round >= warmUp) table.push(row)
  }
  const { positions, mostAtOnce } = exact.asked
  return [
    String(writers),
    show(summary(table, ([time]) => time)),
    show(summary(table, ([, exact]) => exact)),
    show(summary(table, ([time, exact]) => exact / time)),
    show(summary(table, ([, , sentTime, sentExact]) => sentExact - sentTime)),
    show(summary(table, ([, exact, sentTime, sentExact]) => (sentExact - sentTime) / exact)),
    (positions / (rounds * writes)).toFixed(2),
    String(mostAtOnce),
  ]
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
