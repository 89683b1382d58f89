import { expect, test } from 'vitest'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useCluster } from '../support/shop.ts'

// Whoever has two databases may forget to name them, and one database may be used through two clients.
const { cluster } = useCluster({ replicas: 3, sql: 'create database other' })

function poolOf(database: string) {
  const at = ({ connectionString }: { connectionString: string }) => {
    const url = new URL(connectionString)
    url.pathname = `/${database}`
    return url.href
  }
  return new PrimaryReplicaPool({ primary: at(cluster.primary), replicas: cluster.replicas.map(at) })
}

const databaseOf = async (pool: PrimaryReplicaPool) =>
  (await pool.query<{ name: string }>('select current_database() as name')).rows[0]?.name

test('two databases of one name, in one request, are each read from their own servers', async () => {
  await using one = poolOf('test')
  await using other = poolOf('other')
  await Promise.all([one.ready(), other.ready()])
  await inRequest(async () => {
    for (let round = 0; round < 3; round++) {
      expect(await databaseOf(one)).toBe('test')
      expect(await databaseOf(other)).toBe('other')
    }
  })
})

test('one database through two clients is read from one replica, in one request', async () => {
  await using one = poolOf('test')
  await using same = poolOf('test')
  await Promise.all([one.ready(), same.ready()])
  for (let round = 0; round < 10; round++) {
    const routes = await routesOf(() =>
      inRequest(async () => {
        for (const pool of [one, same, one, same]) await databaseOf(pool)
      }),
    )
    expect(new Set(routes.map(({ node }) => node)).size).toBe(1)
  }
})
