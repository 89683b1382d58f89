/**
 * How long does the catalog of a large database take? Measures the first reading, a look that finds nothing, and the
 * reading after one change. Runs only by name (`npm run bench -- catalog`), because it first makes 40,000 views. With
 * DATABASE_URL, it uses a database that already has them.
 */
import pg from 'pg'
import { startPostgresCluster } from 'write-pinning/testing'
import { CatalogKnowledge } from '../dist/routing/catalog-knowledge.js'
import { printTable, show, summary } from './rounds.js'

const VIEWS = 40_000
const ROUNDS = 7
const OPTIONS = { primaryTables: [], primaryFunctions: [], replicaFunctions: [] }

const url = process.env.DATABASE_URL
const cluster = url === undefined ? await startPostgresCluster({ replicas: 0 }) : undefined
const client = new pg.Client({ connectionString: url ?? cluster?.primary.connectionString })
await client.connect()
if (cluster !== undefined) await makeViews()

/** @param {string} text @param {readonly unknown[]} values */
const ask = async (text, values) => (await client.query({ text, values: [...values] })).rows
const server = {
  isLate: false,
  database: 'bench',
  /** @param {(ask: any) => Promise<any>} questions */
  within: async (questions) => {
    await client.query('begin; set local search_path to pg_catalog, pg_temp')
    const answer = await questions(ask)
    await client.query('commit')
    return answer
  },
}

/** @type {number[][]} */
const table = []
for (let round = 0; round < ROUNDS; round++) {
  const knowledge = new CatalogKnowledge(OPTIONS)
  const first = await timeOf(knowledge)
  const look = await timeOf(knowledge)
  await client.query(`create or replace view v_1 as select id, name, id + ${round} as x from item`)
  table.push([first, look, await timeOf(knowledge)])
}
printTable(
  ['views', 'first reading, ms', 'a look that finds nothing, ms', 'after one change, ms'],
  [
    [
      String(VIEWS),
      ...[0, 1, 2].map((column) =>
        show(
          summary(table, (row) => row[column] ?? 0),
          0,
        ),
      ),
    ],
  ],
)
await client.end()
await cluster?.stop()

/** @param {CatalogKnowledge} knowledge */
async function timeOf(knowledge) {
  const startMs = performance.now()
  await knowledge.readFunctions(server)
  const read = await knowledge.changedRelations(server, async () => {})
  await read?.()
  return performance.now() - startMs
}

async function makeViews() {
  await client.query('create table item (id int, name text)')
  for (let from = 0; from < VIEWS; from += 1_000) {
    await client.query(`do $$ begin
      for n in ${from}..${from + 999} loop
        execute format('create view v_%s as select id, name, coalesce(id, %s) as x from item where id > %s order by id', n, n, n);
      end loop;
    end $$`)
  }
}
