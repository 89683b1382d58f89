import pg from 'pg'
import { expect, test } from 'vitest'
import { type PostgresNode, startPostgresCluster } from 'write-pinning/testing'
import { startReaderEndpoint } from '../../support/haproxy.ts'

test('a reader endpoint spreads its connections over its servers, of which one is added and one goes', async () => {
  await using cluster = await startPostgresCluster({ replicas: 2 })
  const [first, second] = cluster.replicas as [PostgresNode, PostgresNode]
  await using endpoint = await startReaderEndpoint([first])
  const servers = async () => {
    const ports = await Promise.all(
      [1, 2, 3, 4].map(async () => {
        const client = new pg.Client({ connectionString: endpoint.connectionString })
        await client.connect()
        const { rows } = await client.query('select inet_server_port() as port')
        await client.end()
        return rows[0].port
      }),
    )
    return new Set(ports)
  }
  expect(await servers()).toEqual(new Set([first.port]))
  await endpoint.addServer(second)
  expect(await servers()).toEqual(new Set([first.port, second.port]))
  await endpoint.removeServer(first)
  expect(await servers()).toEqual(new Set([second.port]))
})
