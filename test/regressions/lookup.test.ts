import { Kysely, sql } from 'kysely'
import { expect, test } from 'vitest'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { whereAndWhyInRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'

const { cluster } = useShop()

type Callback = (error: Error | null, ...given: unknown[]) => void

const nonsense: Record<string, (callback: Callback) => void> = {
  'gives nothing': (callback) => callback(null, undefined),
  'gives an empty list': (callback) => callback(null, []),
  'gives a list of nothing': (callback) => callback(null, [null]),
  'gives what is no address': (callback) => callback(null, [{ address: 'here', family: 4 }]),
  'gives an error': (callback) => callback(new Error('no')),
  throws: () => {
    throw new Error('no')
  },
}

test.each(Object.entries(nonsense))(
  'a `lookup` that %s fails the connection and not the process',
  async (_name, answer) => {
    const dialect = new PrimaryReplicaDialect({
      primary: cluster.primary.connectionString,
      replicas: [String(cluster.replicas[0]?.connectionString).replace('127.0.0.1', 'replica.test')],
      // The primary's is an address, which is not looked up.
      lookup: ((_host: string, _options: object, callback: Callback) => answer(callback)) as never,
    })
    const db = new Kysely<object>({ dialect })
    expect(await whereAndWhyInRequest(() => sql`select 1`.execute(db))).toEqual(['primary: no-replica'])
    expect(dialect.status().nodes[1]).toMatchObject({ health: 'down' })
    await db.destroy()
  },
)
