import { describe, expect, test } from 'vitest'
import { formatLsn, parseLsn } from '../../src/lsn.ts'
import { type Moment, PrimaryPositions } from '../../src/nodes/lag.ts'

const PACE = { sightingMs: 1_500, verdictMs: 3_500 }
/** Of a host that is never suspended. */
const at = (atMs: number): Moment => ({ atMs, atClockMs: 1_700_000_000_000 + atMs })

/** A primary that was at so many bytes at so many ms. */
function seenAt(...samples: [atMs: number, bytes: number][]): PrimaryPositions {
  const positions = new PrimaryPositions(PACE)
  for (const [atMs, bytes] of samples) positions.add(at(atMs), BigInt(bytes))
  return positions
}

/** The same, and once a second until `untilMs` it was there still. */
function seenUntil(untilMs: number, ...samples: [atMs: number, bytes: number][]): PrimaryPositions {
  const positions = seenAt(...samples)
  const [lastMs, bytes] = samples.at(-1) as [number, number]
  for (let atMs = lastMs + 1_000; atMs <= untilMs; atMs += 1_000) positions.add(at(atMs), BigInt(bytes))
  return positions
}

test('a replica that has replayed all is not late, however long ago the last write was', () => {
  const positions = seenUntil(60_000, [0, 100])
  expect(positions.lagMs(100n, at(60_000))).toBe(0)
  expect(positions.lagBytes(100n, at(60_000))).toBe(0)
})

test('lag is the age of the oldest position that was not replayed', () => {
  const positions = seenAt([0, 100], [1_000, 200], [2_000, 300])
  expect(positions.lagMs(100n, at(2_500))).toBe(1_500)
  expect(positions.lagMs(200n, at(2_500))).toBe(500)
  expect(positions.lagMs(300n, at(2_500))).toBe(0)
  expect(positions.lagBytes(150n, at(2_500))).toBe(150)
})

test('what the primary wrote after the replica was asked does not make it late', () => {
  const positions = seenUntil(4_000, [0, 100])
  positions.add(at(5_000), 900n)
  expect(positions.lagMs(100n, at(4_500))).toBe(0)
  expect(positions.lagBytes(100n, at(4_500))).toBe(0)
})

test('the first write after a long pause does not make a replica look late', () => {
  const positions = seenUntil(599_000, [0, 100])
  positions.add(at(600_000), 200n)
  expect(positions.lagMs(100n, at(600_010))).toBe(10)
})

test('a replica that is hours late is known to be so, however many samples there are', () => {
  const positions = new PrimaryPositions(PACE)
  for (let second = 0; second < 10_000; second++) positions.add(at(second * 1_000), BigInt(second))
  for (const second of [10, 1_000, 5_000, 9_000]) {
    const lagMs = (9_999 - second) * 1_000
    const known = positions.lagMs(BigInt(second), at(10_000_000)) ?? Number.NaN
    expect(Math.abs(known - lagMs) / lagMs).toBeLessThan(0.03)
  }
  expect(positions.lagMs(9_990n, at(10_000_000))).toBe(9_000)
  // The very first is never thinned out.
  expect(positions.lagMs(0n, at(10_000_000))).toBeGreaterThan(9_000_000)
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
  expect(positions.lagMs(300n, at(2_500))).toBe(0)
  expect(positions.lagMs(200n, at(3_000))).toBeUndefined()
})

describe('nobody knows how late a replica is', () => {
  test('before the primary was seen', () => {
    const positions = new PrimaryPositions(PACE)
    expect(positions.lagMs(900n, at(0))).toBeUndefined()
    expect(positions.lagBytes(900n, at(0))).toBeUndefined()
    positions.wasDown(at(10))
    expect(positions.lagMs(900n, at(20))).toBeUndefined()
  })

  test('that has not replayed the first position that was seen', () => {
    const positions = seenUntil(60_000, [0, 100])
    for (const atMs of [-5, 0, 60_000]) expect(positions.lagMs(99n, at(atMs))).toBeUndefined()
    // One that had done so before the primary was asked is as fresh as that.
    expect(positions.lagMs(100n, at(-5))).toBe(0)
  })

  test('that has not replayed the first position after the host was suspended', () => {
    const positions = seenAt([0, 100], [1_000, 200])
    const isBeginning = positions.add({ atMs: 2_000, atClockMs: at(3_600_000).atClockMs }, 900n)
    expect(isBeginning).toBe(true)
    for (const lsn of [100n, 200n, 899n]) {
      expect(positions.lagMs(lsn, { atMs: 2_001, atClockMs: at(3_600_001).atClockMs })).toBeUndefined()
    }
    expect(positions.lagMs(900n, { atMs: 2_001, atClockMs: at(3_600_001).atClockMs })).toBe(0)
  })
})

describe('where the primary was out of sight for a while', () => {
  test('a replica that lacks what it had written by then may be late since then', () => {
    const positions = seenAt([0, 100], [1_000, 200])
    expect(positions.add(at(61_000), 900n)).toBe(true)
    expect(positions.lagMs(200n, at(61_010))).toBe(60_010)
    expect(positions.lagMs(100n, at(61_010))).toBe(60_010)
    expect(positions.lagMs(900n, at(61_010))).toBe(0)
    // Asked before the primary was seen again, it was late by as much as that was ago.
    expect(positions.lagMs(200n, at(60_500))).toBe(59_500)
  })

  test('and has written nothing, nobody is late', () => {
    const positions = seenAt([0, 100])
    expect(positions.add(at(61_000), 100n)).toBe(false)
    expect(positions.lagMs(100n, at(61_010))).toBe(0)
  })

  test('a replica may be late by as much as that is ago, though it has replayed all there was to be seen', () => {
    const positions = seenAt([0, 100])
    expect(positions.lagMs(100n, at(3_000))).toBe(0)
    expect(positions.lagMs(100n, at(60_000))).toBe(60_000)
    expect(positions.lagMs(100n, { atMs: 10, atClockMs: at(60_000).atClockMs })).toBe(60_000)
  })

  test('because it is down, nobody is late who has replayed all there was to be seen', () => {
    const positions = seenAt([0, 100], [1_000, 200])
    for (let second = 2; second < 60; second++) positions.wasDown(at(second * 1_000))
    expect(positions.lagMs(200n, at(60_000))).toBe(0)
    expect(positions.lagMs(100n, at(60_000))).toBe(59_000)
  })
})
