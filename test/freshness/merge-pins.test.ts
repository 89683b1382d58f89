import { describe, expect, test } from 'vitest'
import {
  livePin,
  MAX_CLUSTERS,
  mergePins,
  pinAtMostUntil,
  pinOfParts,
  pinUntil,
} from '../../src/freshness/merge-pins.ts'
import { type ClusterPin, type ExactPin, type Pin, requirementOfPin } from '../../src/freshness/pin.ts'
import type { Position } from '../../src/freshness/position.ts'
import { isAsStrong, RandomPins } from '../pinning/pins.ts'

const BEFORE = { systemId: '7300000000000000001', timeline: 1, lsn: 1_000n }
const AFTER = { ...BEFORE, lsn: 2_000n }
const PROMOTED = { ...BEFORE, timeline: 2, lsn: 500n }
const ELSEWHERE = { ...BEFORE, systemId: '42' }

const time = (untilMs: number): Pin => ({ kind: 'time', untilMs })
const exact = (position: Position, untilMs: number, key = 'default'): ExactPin => ({
  kind: 'exact',
  untilMs,
  primaryUntilMs: 0,
  clusters: new Map([[key, { primaryUntilMs: 0, exact: { position, untilMs } }]]),
})
/** What a read in a cluster demands at that time: `primary`, a position, or nothing. */
const demand = (pin: Pin, nowMs: number, cluster = 'default') => {
  const requirement = requirementOfPin(pin, cluster, nowMs)
  return requirement?.kind === 'atLeast' ? requirement.position : requirement?.kind
}

describe('two pins in one', () => {
  test('keep the further position, and the later expiry', () => {
    const merged = mergePins(exact(AFTER, 10), exact(BEFORE, 20))
    expect(merged).toEqual(exact(AFTER, 20))
  })

  test('keep each cluster by its key', () => {
    const merged = mergePins(exact(AFTER, 10), exact(BEFORE, 20, 'stock'))
    expect([demand(merged, 5), demand(merged, 5, 'stock'), demand(merged, 5, 'other')]).toEqual([
      AFTER,
      BEFORE,
      undefined,
    ])
    expect([demand(merged, 15), demand(merged, 15, 'stock')]).toEqual([undefined, BEFORE])
  })

  test('send everything to the primary as long as the one says so, and ask for positions after that', () => {
    const merged = mergePins(time(10), exact(AFTER, 20))
    expect([demand(merged, 5), demand(merged, 5, 'stock')]).toEqual(['primary', 'primary'])
    expect([demand(merged, 15), demand(merged, 15, 'stock')]).toEqual([AFTER, undefined])
    expect(mergePins(time(20), exact(AFTER, 20))).toEqual(time(20))
  })

  test('of which one was set before a failover send its cluster to the primary until that is over', () => {
    const merged = mergePins(exact(AFTER, 10), exact(PROMOTED, 20))
    expect([demand(merged, 5), demand(merged, 15)]).toEqual(['primary', PROMOTED])
  })

  test('of which one was set by another database with that name as well', () => {
    const merged = mergePins(exact(ELSEWHERE, 10), exact(AFTER, 20))
    expect([demand(merged, 5), demand(merged, 15)]).toEqual(['primary', AFTER])
  })

  test('of more clusters than there is room for are a time pin', () => {
    const places = Array.from({ length: MAX_CLUSTERS + 1 }, (_, index) => `cluster-${index}`)
    const merged = places
      .map((key, index) => exact(AFTER, 10 + index, key))
      .reduce<Pin | undefined>(mergePins, undefined)
    expect(merged).toEqual(time(10 + MAX_CLUSTERS))
  })

  test('demand all that either demands, in any order, at any time', () => {
    const pins = new RandomPins(4, 0, 50)
    for (let round = 0; round < 20_000; round++) {
      const [a, b] = [pins.pin(['default', 'stock']), pins.pin(['default', 'stock'])]
      const [merged, other] = [mergePins(a, b), mergePins(b, a)]
      expect(mergePins(merged, a)).toEqual(merged)
      for (const cluster of ['default', 'stock', 'none']) {
        const nowMs = pins.below(50)
        const requirement = requirementOfPin(merged, cluster, nowMs)
        expect(isAsStrong(requirement, requirementOfPin(a, cluster, nowMs))).toBe(true)
        expect(isAsStrong(requirement, requirementOfPin(b, cluster, nowMs))).toBe(true)
        expect(isAsStrong(requirement, requirementOfPin(other, cluster, nowMs))).toBe(true)
      }
    }
  })
})

describe('a pin', () => {
  test('without what is over is what it was', () => {
    const pin = mergePins(mergePins(time(5), exact(AFTER, 10)), exact(BEFORE, 20, 'stock'))
    expect(livePin(pin, 5)).toEqual(mergePins(exact(AFTER, 10), exact(BEFORE, 20, 'stock')))
    expect(livePin(pin, 10)).toEqual(exact(BEFORE, 20, 'stock'))
    expect(livePin(pin, 20)).toBeUndefined()
  })

  test('can be made to last for another time', () => {
    const parts = new Map<string, ClusterPin>([['stock', { primaryUntilMs: 7, exact: undefined }]])
    const pin = mergePins(exact(AFTER, 10), pinOfParts(0, parts))
    expect(pinUntil(pin as Pin, 100)).toEqual({
      kind: 'exact',
      untilMs: 100,
      primaryUntilMs: 0,
      clusters: new Map<string, ClusterPin>([
        ['default', { primaryUntilMs: 0, exact: { position: AFTER, untilMs: 100 } }],
        ['stock', { primaryUntilMs: 100, exact: undefined }],
      ]),
    })
  })

  test('can be kept from lasting longer than that', () => {
    const pin = mergePins(exact(AFTER, 10), exact(BEFORE, 30, 'stock'))
    expect(pinAtMostUntil(pin, 20)).toEqual(mergePins(exact(AFTER, 10), exact(BEFORE, 20, 'stock')))
    expect(pinAtMostUntil(pin, 40)).toBe(pin)
    expect(pinAtMostUntil(time(30), 20)).toEqual(time(20))
  })

  test('of nothing is none', () => {
    expect(pinOfParts(0, new Map())).toBeUndefined()
    expect(mergePins(undefined, undefined)).toBeUndefined()
  })
})
