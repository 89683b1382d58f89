import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { PostgresNode } from 'write-pinning/testing'
import { readsOf, writesOf } from '../support/load.ts'
import { inRequest } from '../support/request.ts'
import { useShop } from '../support/shop.ts'
import { codeOf, warningsOf } from '../support/warnings.ts'
import { Watched } from '../support/watched.ts'

// The service starts even if servers are down, and says which.
const { cluster } = useShop({ replicas: 2 })
let primary: PostgresNode
let replica: PostgresNode
let other: PostgresNode
let watched: Watched
/** How long opening the database took, in ms. */
let startMs: number

beforeAll(async () => {
  ;[primary, replica, other] = cluster.nodes as [PostgresNode, PostgresNode, PostgresNode]
})

beforeEach(() => {
  startMs = Number.NaN
})

// Also after a test that failed: the next test would count its clients.
afterEach(() => watched.close())

/** Opens the database, and gives the codes of the process's warnings. */
const warningsAtStart = () =>
  warningsOf(async () => {
    const sinceMs = performance.now()
    watched = await Watched.open(cluster)
    startMs = performance.now() - sinceMs
  })

const read = () => readsOf(cluster, watched.db)()
const write = () => writesOf(watched.db)()

describe('a service that starts', () => {
  test('while a replica is down says so, reads from the other one, and from both when that is back', async () => {
    await replica.kill()
    expect(await warningsAtStart()).toEqual(['WRITE_PINNING_NODE_DOWN'])
    expect(startMs).toBeLessThan(1_000)
    for (let i = 0; i < 20; i++) expect(await read()).toBe('replica-2')
    const sinceMs = performance.now()
    await replica.start()
    await watched.changed('replica-1', 'fit', sinceMs)
    await expect.poll(read, { timeout: 5_000, interval: 1 }).toBe('replica-1')
  })

  test('while a replica is frozen does not wait for it, says so, and reads from the other one', async () => {
    await replica.freeze()
    expect(await warningsAtStart()).toEqual(['WRITE_PINNING_NODE_DOWN'])
    expect(startMs).toBeLessThan(2_000)
    for (let i = 0; i < 20; i++) expect(await read()).toBe('replica-2')
    const sinceMs = performance.now()
    await replica.thaw()
    await watched.changed('replica-1', 'fit', sinceMs)
  })

  test('while all replicas are down says so, and reads from the primary until one is back', async () => {
    await Promise.all([replica.kill(), other.kill()])
    // These warnings also say that there is no replica.
    expect(await warningsAtStart()).toEqual(['WRITE_PINNING_NODE_DOWN', 'WRITE_PINNING_NODE_DOWN'])
    expect(await read()).toBe('primary')
    await write()
    const sinceMs = performance.now()
    await Promise.all([replica.start(), other.start()])
    await watched.changed('replica-1', 'fit', sinceMs)
    expect(await read()).not.toBe('primary')
  })

  test("while the primary is down says so, reads from replicas, and fails writes with the server's error", async () => {
    await primary.kill()
    expect(await warningsAtStart()).toEqual(['WRITE_PINNING_NODE_DOWN'])
    for (let i = 0; i < 20; i++) expect(await read()).toMatch(/^replica/)
    expect(await codeOf(write)).toBe('ECONNREFUSED')
    const sinceMs = performance.now()
    await primary.start()
    await write()
    await watched.changed('primary', 'up', sinceMs)
    // The lag of the replicas is not known until they have replayed the primary's current position.
    await expect.poll(read, { timeout: 5_000, interval: 1 }).toMatch(/^replica/)
  })

  test('while everything is down starts all the same, and works as soon as a server does', async () => {
    await Promise.all(cluster.nodes.map((node) => node.kill()))
    const warnings = await warningsAtStart()
    expect(warnings.filter((code) => code === 'WRITE_PINNING_NODE_DOWN')).toHaveLength(3)
    expect(await codeOf(read)).toBe('ECONNREFUSED')
    expect(await codeOf(write)).toBe('ECONNREFUSED')
    const sinceMs = performance.now()
    await primary.start()
    await write()
    expect(await inRequest(read)).toBe('primary')
    await Promise.all([replica.start(), other.start()])
    await watched.changed('replica-1', 'fit', sinceMs)
    expect(await read()).toMatch(/^replica/)
  })
})
