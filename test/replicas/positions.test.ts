import { expect, test } from 'vitest'
import { formatLsn, parseLsn } from '../../src/lsn.ts'
import { PrimaryPositions } from '../../src/replicas/positions.ts'

/** A primary that was at so many bytes at so many ms. */
function seenAt(...samples: [atMs: number, bytes: number][]): PrimaryPositions {
  const positions = new PrimaryPositions()
  for (const [atMs, bytes] of samples) positions.add(atMs, BigInt(bytes))
  return positions
}

test('a replica that has replayed all is not late, however long ago the last write was', () => {
  const positions = seenAt([0, 100], [1_000, 100], [60_000, 100])
  expect(positions.lagMs(100n, 60_000)).toBe(0)
  expect(positions.lagBytes(100n, 60_000)).toBe(0)
})

test('lag is the age of the oldest position that was not replayed', () => {
  const positions = seenAt([0, 100], [1_000, 200], [2_000, 300])
  expect(positions.lagMs(100n, 2_500)).toBe(1_500)
  expect(positions.lagMs(200n, 2_500)).toBe(500)
  expect(positions.lagMs(300n, 2_500)).toBe(0)
  expect(positions.lagBytes(150n, 2_500)).toBe(150)
})

test('what the primary wrote after the replica was asked does not make it late', () => {
  const positions = seenAt([0, 100], [5_000, 900])
  expect(positions.lagMs(100n, 4_000)).toBe(0)
  expect(positions.lagBytes(100n, 4_000)).toBe(0)
})

test('the first write after a long pause does not make a replica look late', () => {
  const positions = seenAt([0, 100], [600_000, 200])
  expect(positions.lagMs(100n, 600_010)).toBe(10)
})

test('a replica that is hours late is known to be so, however many samples there are', () => {
  const positions = new PrimaryPositions()
  for (let second = 0; second < 10_000; second++) positions.add(second * 1_000, BigInt(second))
  for (const second of [10, 1_000, 5_000, 9_000]) {
    const lagMs = (9_999 - second) * 1_000
    const known = positions.lagMs(BigInt(second), 10_000_000)
    expect(Math.abs(known - lagMs) / lagMs).toBeLessThan(0.03)
  }
  expect(positions.lagMs(9_990n, 10_000_000)).toBe(9_000)
})

test('positions are read and written as PostgreSQL does', () => {
  for (const text of ['0/0', '0/3000148', '16/B374D848', 'FFFFFFFF/FFFFFFFF']) {
    expect(formatLsn(parseLsn(text) as bigint)).toBe(text)
  }
  expect(parseLsn('16/b374d848')).toBe(0x16b374d848n)
  for (const wrong of ['', '0', '0/', '/0', 'x/0', '0/0/0', '123456789/0', ' 0/0', '-1/0', null, 7]) {
    expect(parseLsn(wrong)).toBeUndefined()
  }
})

test('where the primary’s position goes back, it is another server, and what the one before had written makes nobody late', () => {
  const positions = seenAt([0, 100], [1_000, 900], [2_000, 300])
  expect(positions.lagMs(300n, 60_000)).toBe(0)
  expect(positions.lagMs(200n, 3_000)).toBe(1_000)
})
