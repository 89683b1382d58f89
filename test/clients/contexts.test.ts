import { expect, it } from 'vitest'
import { usePrimary, useReplica } from 'write-pinning'
import { contract, opened, startCluster } from './contract.ts'

const cluster = await startCluster()

/** More than any library's own pool has clients. */
const REQUESTS = 120

contract((client) => {
  const db = opened(client, cluster)

  it('a statement that waits for a client of the library’s runs in the context that it was asked in', async () => {
    const isReplica = async () => (await db().run('select pg_is_in_recovery() as it'))[0]?.it
    const all = await Promise.all(
      Array.from({ length: REQUESTS }, (_, at) => (at % 2 === 0 ? usePrimary : useReplica)(isReplica)),
    )
    expect(all).toEqual(all.map((_, at) => at % 2 === 1))
  })
})
