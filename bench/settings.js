/**
 * How much do settings that follow their client cost a statement? Two clients of one pool take turns. One has set
 * nothing. The other has set three values that each session already has. The servers answer at once. A value that
 * differs is sent in the same message as the statement, which `test/settings/messages.test.ts` shows. So it costs
 * only the server's work for it.
 */
import { EventEmitter } from 'node:events'
import pg from 'pg'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { NodePool } from '../dist/nodes/node-pool.js'
import { settingClient } from '../dist/nodes/session-settings.js'
import { inRequest } from './in-request.js'
import { printTable, show, summary, timeRounds } from './rounds.js'
import './vouched.js'

const SETTINGS = ["set app.tenant = 'one'", "set timezone to 'UTC'", 'set search_path to shop, public']

/** Answers at once, with an empty result. It speaks as much of the protocol as settings need. */
class QuickClient extends EventEmitter {
  static Query = pg.Query
  _queryable = true
  readyForQuery = true
  connection = new QuickConnection()

  /** @param {() => void} callback */
  connect(callback) {
    process.nextTick(callback)
  }

  /** @param {string | { text: string }} query */
  query(query) {
    this.connection.query(typeof query === 'string' ? query : query.text)
    return Promise.resolve(RESULT)
  }

  /** @param {() => void} callback */
  end(callback) {
    process.nextTick(callback)
  }
}

class QuickConnection extends EventEmitter {
  parse() {}
  bind() {}
  sync() {}
  query() {}
  execute() {
    process.nextTick(() => this.emit('commandComplete'))
  }
}

const RESULT = { command: 'SELECT', rowCount: 0, rows: [] }

// There is no server to ask whether it carries settings.
Object.defineProperty(NodePool.prototype, 'carriesSettings', { get: () => true })

const pool = new PrimaryReplicaPool({
  primary: nodeOf(poolOfPg()),
  replicas: [nodeOf(poolOfPg()), nodeOf(poolOfPg())],
  withoutContext: 'replica',
})
const withoutAny = await clientWith()
const withThree = await clientWith(...SETTINGS)
const variants = [withoutAny, withThree].map((client, at) => ({
  name: at === 0 ? 'nothing' : 'three',
  run: async (/** @type {number} */ iterations) => {
    for (let i = 0; i < iterations; i++) await client.query('select * from person where id = $1', [1])
  },
}))

const rows = []
for (const context of ['request', 'none']) {
  const run = () => timeRounds(variants, { rounds: 60, warmUp: 10, iterations: 10_000 })
  const table = context === 'request' ? await inRequest(run) : await run()
  rows.push([context, show(summary(table, ([own]) => own)), show(summary(table, ([own, its]) => its - own))])
}
console.log(`\n## One query of a client, Node.js ${process.versions.node}: µs\n`)
printTable(['context', 'a client that has set nothing', 'added by three settings that agree'], rows)
process.exit()

/** @param {...string} texts */
async function clientWith(...texts) {
  const client = new pool.driver.Client()
  await client.connect()
  for (const text of texts) await client.query(text)
  return client
}

function poolOfPg() {
  const Client = /** @type {any} */ (settingClient(/** @type {any} */ (QuickClient)))
  return new pg.Pool({ Client, idleTimeoutMillis: 0 })
}

/**
 * A pool without a `Client`, so its node is not watched: no server would answer.
 *
 * @param {pg.Pool} pool
 * @returns {any}
 */
function nodeOf(pool) {
  return { connect: () => pool.connect(), end: () => pool.end() }
}
