import { existsSync } from 'node:fs'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type PostgresCluster, startPostgresCluster } from 'write-pinning/testing'
import { startPgBouncer } from '../../support/pgbouncer.ts'

let cluster: PostgresCluster

beforeAll(async () => {
  cluster = await startPostgresCluster({ replicas: 0 })
})

afterAll(() => cluster.stop())

async function open(connectionString: string, config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, ...config })
  client.on('error', () => {})
  await client.connect()
  return client
}

test('two clients take turns on one server connection, and what one has set the other one finds', async () => {
  await using bouncer = await startPgBouncer(cluster.primary, { default_pool_size: 1 })
  const clients = [await open(bouncer.connectionString), await open(bouncer.connectionString)] as const
  const pids = await Promise.all(clients.map((client) => client.query('select pg_backend_pid() as pid')))
  expect(pids[0]?.rows).toEqual(pids[1]?.rows)
  await clients[0].query("set application_name to 'leaked'")
  expect((await clients[1].query('show application_name')).rows).toEqual([{ application_name: 'leaked' }])
  await Promise.all(clients.map((client) => client.end()))
})

test('it refuses a start-up option, as 08P01, unless it is told to ignore it', async () => {
  const options = '-c default_transaction_read_only=on'
  await using bouncer = await startPgBouncer(cluster.primary)
  await expect(open(bouncer.connectionString, { options })).rejects.toMatchObject({ code: '08P01' })
  await using lenient = await startPgBouncer(cluster.primary, { ignore_startup_parameters: 'options' })
  const client = await open(lenient.connectionString, { options })
  expect((await client.query('show default_transaction_read_only')).rows).toEqual([
    { default_transaction_read_only: 'off' },
  ])
  await client.end()
})

test('it has a console, and is gone once it is stopped', async () => {
  const bouncer = await startPgBouncer(cluster.primary)
  const admin = await open(bouncer.consoleString)
  const { rows } = await admin.query('show config')
  const file = rows.find(({ key }) => key === 'auth_file').value
  expect(rows.find(({ key }) => key === 'pool_mode').value).toBe('transaction')
  expect(existsSync(file)).toBe(true)
  await admin.end()
  await bouncer.stop()
  expect(existsSync(file)).toBe(false)
  await expect(open(bouncer.connectionString)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a setting that it does not know is an error with what it says', async () => {
  await expect(startPgBouncer(cluster.primary, { no_such_setting: 1 })).rejects.toThrow(/no_such_setting/)
})
