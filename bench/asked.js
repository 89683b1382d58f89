/**
 * How much does it cost to ask the server whether a statement wrote? Measures two questions: one beside the COMMIT of
 * a transaction that is not known to have written, and one right after a single statement in doubt. The second is
 * compared with another way to be sure. Uses a real primary on this machine.
 */
import pg from 'pg'
import { runWithPin, usePrimary } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { startPostgresCluster } from 'write-pinning/testing'
import { askingClient } from '../dist/nodes/asked-query.js'
import { WROTE_QUESTION } from '../dist/nodes/position-questions.js'
import { printTable, show, summary, timeRounds } from './rounds.js'

const ROUNDS = { rounds: 300, warmUp: 20, iterations: 40 }
const READ = 'select value from counter where id = 1'
const DOUBTFUL = 'select quiet(1)'

/** A client that adds no question. Otherwise it is the same. */
class MuteClient extends pg.Client {
  static Query = undefined
}

const cluster = await startPostgresCluster({ replicas: 1 })
try {
  await cluster.primary.query('create table counter (id int primary key, value int not null)')
  await cluster.primary.query('insert into counter values (1, 0)')
  await cluster.primary.query(
    'create function quiet(x int) returns int language plpgsql as $$ begin return x; end $$',
  )
  await cluster.waitForCatchup()
  console.log(`\n## The server's word, Node.js ${process.versions.node}\n`)
  await compareTransactions()
  console.log()
  await compareSingles()
} finally {
  await cluster.stop()
}

/** Measures a transaction of one read on the primary, through the pool. */
async function compareTransactions() {
  const pools = await Promise.all([open(MuteClient), open(pg.Client)])
  const variants = pools.map((pool, index) => ({
    name: String(index),
    run: (/** @type {number} */ iterations) =>
      runWithPin(undefined, () =>
        usePrimary(async () => {
          const client = await pool.connect()
          for (let i = 0; i < iterations; i++) {
            await client.query('begin')
            await client.query(READ)
            await client.query('commit')
          }
          client.release()
        }),
      ),
  }))
  const table = await timeRounds(variants, ROUNDS)
  printTable(
    ['', 'µs, not asked', 'µs, asked', 'ratio'],
    [
      [
        'a transaction of one read',
        show(
          summary(table, ([mute]) => mute),
          0,
        ),
        show(
          summary(table, ([, asked]) => asked),
          0,
        ),
        show(summary(table, ([mute, asked]) => asked / mute)),
      ],
    ],
  )
  await Promise.all(pools.map((pool) => pool.end()))
}

/** Measures a single statement in doubt, on the client itself. All other costs are the same for all variants. */
async function compareSingles() {
  const Asking = /** @type {any} */ (askingClient(/** @type {any} */ (pg.Client)))
  const client = new Asking({ connectionString: cluster.primary.connectionString })
  await client.connect()
  const around = [{}, { after: WROTE_QUESTION }, { before: 'begin read only', after: 'commit' }]
  const variants = around.map((questions, index) => ({
    name: String(index),
    run: async (/** @type {number} */ iterations) => {
      for (let i = 0; i < iterations; i++) {
        client.askWithNext(questions)
        await client.query(DOUBTFUL)
      }
    },
  }))
  variants.push({
    name: 'messages of their own',
    run: async (iterations) => {
      for (let i = 0; i < iterations; i++) {
        await client.query('begin read only')
        await client.query(DOUBTFUL)
        await client.query('commit')
      }
    },
  })
  const table = await timeRounds(variants, ROUNDS)
  const ratioOf = (/** @type {number} */ at) => show(summary(table, (row) => row[at] / row[0]))
  printTable(
    ['', 'µs, not asked', 'asked', '`begin read only … commit`, in one message', 'the same in three'],
    [
      [
        'a single statement in doubt',
        show(
          summary(table, ([none]) => none),
          0,
        ),
        ratioOf(1),
        ratioOf(2),
        ratioOf(3),
      ],
    ],
  )
  await client.end()
}

/** @param {typeof pg.Client} Client */
async function open(Client) {
  const at = (/** @type {{ connectionString: string }} */ { connectionString }) =>
    /** @type {pg.PoolConfig} */ ({ connectionString, max: 2, Client })
  const pool = new PrimaryReplicaPool({
    primary: at(cluster.primary),
    replicas: cluster.replicas.map(at),
  })
  await pool.ready()
  return pool
}
