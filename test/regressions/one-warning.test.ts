import { beforeEach, describe, expect, test, vi } from 'vitest'
import type { PrimaryReplicaDialectOptions } from 'write-pinning/kysely'
import type { PostgresNode } from 'write-pinning/testing'
import { inRequest } from '../support/request.ts'
import { routesOf } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { Watched } from '../support/watched.ts'

// One fault is one warning, in words that say what happens now; and one more when no replica was fit, and one is again.
const { cluster } = useShop({ replicas: 2, isOfEachTest: true })
let replica: PostgresNode
let other: PostgresNode

beforeEach(async () => {
  ;[replica, other] = cluster.replicas as [PostgresNode, PostgresNode]
})

const WAIT = { timeout: 20_000, interval: 10 }
const PORT = 'postgres://127.0.0.1:1/test'

/** Opens it with these replicas, and probes that follow quickly. */
const open = (
  replicas: PrimaryReplicaDialectOptions['replicas'],
  options: Partial<PrimaryReplicaDialectOptions> = {},
) => Watched.open(cluster, { replicas, probeIntervalMs: 50, ...options })

/** Resolves when every node was looked at a few times more. */
async function afterProbes(watched: Watched): Promise<void> {
  for (let count = 0; count < 4; count++) {
    const before = watched.node('primary').position
    await cluster.primary.query("insert into item (name) values ('probed')")
    await vi.waitFor(() => expect(watched.node('primary').position).not.toBe(before), WAIT)
  }
}

const servedBy = async (watched: Watched) => {
  const routes = await routesOf(() => inRequest(() => watched.db.selectFrom('item').selectAll().execute()))
  return routes.map(({ node }) => node)
}

/** A URL that the server refuses, as its configuration is wrong. */
const noDatabase = (node: PostgresNode) => node.connectionString.replace('/test', '/nowhere')

describe('one wrong replica at the start is one warning', () => {
  test('of its configuration, which says that the primary serves its reads', async () => {
    await using watched = await open([noDatabase(replica)])
    await afterProbes(watched)
    expect(watched.warnings).toEqual([
      expect.stringMatching(
        /^WRITE_PINNING_NODE_MISCONFIGURED: .*'replica-1'.*3D000.*primary serves its reads/,
      ),
    ])
    expect(await servedBy(watched)).toEqual(['primary'])
  })

  test('of its being down, which says that the primary serves its reads', async () => {
    await using watched = await open([PORT])
    await afterProbes(watched)
    expect(watched.warnings).toEqual([
      expect.stringMatching(
        /^WRITE_PINNING_NODE_DOWN: .*'replica-1'.*ECONNREFUSED.*primary serves its reads/,
      ),
    ])
  })

  test('of its role, which says that the primary serves its reads', async () => {
    await replica.promote()
    await using watched = await open([replica.connectionString])
    await afterProbes(watched)
    expect(watched.warnings).toHaveLength(1)
    expect(watched.warnings[0]).toMatch(/'replica-1'.*takes writes.*primary serves/)
  })

  test('which says that reads fail where `whenNoReplica` is `error`', async () => {
    await using watched = await open([noDatabase(replica)], { whenNoReplica: 'error' })
    await afterProbes(watched)
    expect(watched.warnings).toEqual([
      expect.stringMatching(/^WRITE_PINNING_NODE_MISCONFIGURED: .*reads fail with `statusCode` 503/),
    ])
  })

  test('beside one that is fit, which says that others serve', async () => {
    await using watched = await open([noDatabase(replica), other.connectionString])
    await afterProbes(watched)
    expect(watched.warnings).toEqual([
      expect.stringMatching(
        /^WRITE_PINNING_NODE_MISCONFIGURED: .*'replica-1'.*Other replicas serve its reads/,
      ),
    ])
  })
})

test('a wrong primary at the start is one warning, which says that writes fail', async () => {
  await using watched = await open([replica.connectionString], { primary: noDatabase(cluster.primary) })
  await watched.untilEligible('replica-1')
  await vi.waitFor(() => expect(watched.warnings).not.toEqual([]), WAIT)
  expect(watched.warnings).toEqual([
    expect.stringMatching(/^WRITE_PINNING_NODE_MISCONFIGURED: .*'primary'.*3D000.*writes fail/i),
  ])
})

describe('no replica that is fit', () => {
  test('is told in plain words, and once more when it is over', async () => {
    await using watched = await open([replica.connectionString])
    await watched.untilEligible('replica-1')
    await replica.kill()
    await watched.untilUnfit('down', 'replica-1')
    await afterProbes(watched)
    expect(watched.warnings).toEqual([
      expect.stringMatching(
        /^WRITE_PINNING_NO_REPLICA_FIT: .*No replica serves reads now: 'replica-1' is down \(.*ECONNREFUSED.*\)\. The primary serves them instead/,
      ),
    ])
    await replica.start()
    await watched.untilEligible('replica-1')
    await afterProbes(watched)
    expect(watched.warnings).toHaveLength(2)
    expect(watched.warnings[1]).toMatch(
      /^WRITE_PINNING_REPLICA_FIT_AGAIN: .*'replica-1' serves reads again, after \d+ s without any replica/,
    )
  })

  test('is over with a word where another warning had told of it', async () => {
    await replica.kill()
    await using watched = await open([replica.connectionString])
    await replica.start()
    await watched.untilEligible('replica-1')
    await afterProbes(watched)
    expect(watched.codes()).toEqual(['WRITE_PINNING_NODE_DOWN', 'WRITE_PINNING_REPLICA_FIT_AGAIN'])
  })

  test('names in brief what another warning has told of', async () => {
    await using watched = await open([noDatabase(replica), other.connectionString])
    await watched.untilEligible('replica-2')
    watched.dialect.drain('replica-2')
    await afterProbes(watched)
    expect(watched.warnings[1]).toMatch(
      /^WRITE_PINNING_NO_REPLICA_FIT: .*'replica-1' \(see the warning before\), 'replica-2' is drained/,
    )
    expect(watched.warnings).toHaveLength(2)
  })

  test('says that reads fail where `whenNoReplica` is `error`', async () => {
    await using watched = await open([replica.connectionString], { whenNoReplica: 'error' })
    await watched.untilEligible('replica-1')
    watched.dialect.drain('replica-1')
    await afterProbes(watched)
    expect(watched.warnings).toEqual([
      expect.stringMatching(
        /^WRITE_PINNING_NO_REPLICA_FIT: .*drained.*Such reads fail with `statusCode` 503/,
      ),
    ])
  })

  test('that comes and goes is told once a minute, its end as often', async () => {
    await using watched = await open([replica.connectionString])
    await watched.untilEligible('replica-1')
    for (let count = 0; count < 3; count++) {
      watched.dialect.drain('replica-1')
      watched.dialect.resume('replica-1')
    }
    await afterProbes(watched)
    expect(watched.codes()).toEqual(['WRITE_PINNING_NO_REPLICA_FIT', 'WRITE_PINNING_REPLICA_FIT_AGAIN'])
  })

  test('says how late it is, and how late it may be', async () => {
    await using watched = await open([replica.connectionString], { maxLagMs: 200 })
    await watched.untilEligible('replica-1')
    await replica.pauseReplay()
    await cluster.primary.query("insert into item (name) values ('late')")
    await watched.untilUnfit('lagging', 'replica-1')
    await vi.waitFor(() => expect(watched.warnings).toHaveLength(1), WAIT)
    expect(watched.warnings[0]).toMatch(/'replica-1' is \d+ ms late, and `maxLagMs` is 200/)
    await replica.resumeReplay()
    await watched.untilEligible('replica-1')
  })
})
