/**
 * How many requests per second does a small Fastify route serve with the plugin, as a share of those without it? Uses
 * real HTTP over loopback. Each line of the table has its own process, and the processes take turns.
 */
import { AppProcess } from './app-process.js'
import { requestText } from './http-client.js'
import { printTable, show, summary, turn } from './rounds.js'

const REQUESTS = 3_000 // per turn, which takes one or two tenths of a second
const SETS = 2 // of fresh processes: two processes of the same program are not equally fast
const ROUNDS = 16
const WARM_UP = 10 // turns that do not count: only then is the last function optimized

const KINDS = ['get', 'get with a pin', 'get with a signed pin', 'post']

// The first of each kind is the base of the shares of the others.
const VARIANTS = [
  { kind: 'get', app: 'none' },
  { kind: 'get', app: 'storage.run alone' },
  { kind: 'get', app: '@fastify/request-context' },
  { kind: 'get', app: '@fastify/cookie' },
  { kind: 'get', app: 'write-pinning' },
  { kind: 'get with a pin', app: 'none' },
  { kind: 'get with a pin', app: 'write-pinning' },
  { kind: 'get with a signed pin', app: 'none' },
  { kind: 'get with a signed pin', app: 'write-pinning, signed' },
  { kind: 'post', app: 'none' },
  { kind: 'post', app: 'write-pinning' },
]

/** @type {{ perSecond: number, cpuUs: number }[][]} one row per round, one column per variant */
const table = []
for (let set = 0; set < SETS; set++) table.push(...(await measureSet()))

console.log(`\n## Fastify, Node.js ${process.versions.node}: share of the same request without a plugin\n`)
printTable(
  ['request', 'application', 'requests per second', 'share of requests per second', 'share by CPU time'],
  VARIANTS.map(({ kind, app }, index) => {
    const bare = VARIANTS.findIndex((each) => each.kind === kind)
    const perSecond = summary(rowsOf('perSecond'), (row) => row[index])
    if (index === bare) return [kind, app, show(perSecond, 0), '1', '1']
    const share = summary(rowsOf('perSecond'), (row) => row[index] / row[bare])
    const byCpu = summary(rowsOf('cpuUs'), (row) => row[bare] / row[index])
    return [kind, app, show(perSecond, 0), show(share), show(byCpu)]
  }),
)

/** @param {'perSecond' | 'cpuUs'} figure */
function rowsOf(figure) {
  return table.map((row) => row.map((cell) => cell[figure]))
}

async function measureSet() {
  /** @type {AppProcess[]} */
  const processes = []
  try {
    // One process per line. Otherwise the garbage of a POST would be collected during the GETs.
    for (const { app } of VARIANTS) processes.push(await AppProcess.start(app))
    const requests = await requestsByKind(processes)
    const rows = []
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      const row = []
      for (const index of turn(VARIANTS.length, round)) {
        row[index] = await processes[index].measure(requests[VARIANTS[index].kind], REQUESTS)
      }
      if (round >= WARM_UP) rows.push(row)
    }
    return rows
  } finally {
    for (const each of processes) await each.stop()
  }
}

/** @param {readonly AppProcess[]} processes */
async function requestsByKind(processes) {
  const pinOf = (/** @type {string} */ kind) =>
    processes[VARIANTS.findLastIndex((each) => each.kind === kind)].pin()
  const [get, pinned, signed, post] = KINDS
  return {
    [get]: requestText({ method: 'GET' }),
    [pinned]: requestText({ method: 'GET', cookie: await pinOf(pinned) }),
    [signed]: requestText({ method: 'GET', cookie: await pinOf(signed) }),
    [post]: requestText({ method: 'POST', body: '{"hello":"world"}' }),
  }
}
