import { describe, expect, test } from 'vitest'
import { type Candidate, choiceOf, rendezvous } from '../../src/nodes/choice.ts'
import { warningsOf } from '../support/warnings.ts'

const candidate = (name: string, given: Partial<Candidate> = {}): Candidate => ({
  name,
  weight: 1,
  busy: 0,
  lagMs: 0,
  ...given,
})

/** How often each is chosen. */
function tally(choose: () => Candidate, times = 20_000): Record<string, number> {
  const counts: Record<string, number> = {}
  for (let i = 0; i < times; i++) {
    const { name } = choose()
    counts[name] = (counts[name] ?? 0) + 1
  }
  return counts
}

describe('the least busy', () => {
  const choose = choiceOf('least-busy', 'default')

  test('of two is chosen', () => {
    const [a, b] = [candidate('a', { busy: 3 }), candidate('b', { busy: 2 })]
    expect(tally(() => choose([a, b]), 100)).toEqual({ b: 100 })
  })

  test('of two drawn from many is chosen: the busiest never, unless it is drawn twice', () => {
    const all = [1, 2, 3, 4].map((busy) => candidate(`busy ${busy}`, { busy }))
    const counts = tally(() => choose(all))
    expect(counts['busy 1']).toBeGreaterThan(counts['busy 2'] ?? 0)
    expect(counts['busy 4'] ?? 0).toBeLessThan(20_000 / 8)
  })

  test('is so for its weight', () => {
    const [heavy, light] = [candidate('heavy', { weight: 4, busy: 5 }), candidate('light', { busy: 2 })]
    expect(choose([heavy, light])).toBe(heavy)
  })

  test('shares what is equal by weight', () => {
    const counts = tally(() =>
      choose([candidate('a', { busy: 0, weight: 1 }), candidate('b', { busy: 2, weight: 3 })]),
    )
    expect((counts.b ?? 0) / 20_000).toBeCloseTo(0.75, 1)
  })
})

describe('in turn', () => {
  test('each is chosen as often as any other', () => {
    const choose = choiceOf('round-robin', 'default')
    const all = [candidate('a'), candidate('b'), candidate('c')]
    const names = Array.from({ length: 6 }, () => choose(all).name)
    expect(names.slice(0, 3).sort()).toEqual(['a', 'b', 'c'])
    expect(names.slice(3)).toEqual(names.slice(0, 3))
  })

  test('a heavy one’s turns are spread over the round', () => {
    const choose = choiceOf('round-robin', 'default')
    const all = [candidate('heavy', { weight: 3 }), candidate('light')]
    const names = Array.from({ length: 8 }, () => choose(all).name)
    expect(names.filter((name) => name === 'heavy')).toHaveLength(6)
    expect(names.slice(0, 4).filter((name) => name === 'light')).toHaveLength(1)
  })

  test('goes on when one is gone', () => {
    const choose = choiceOf('round-robin', 'default')
    const [a, b, c] = [candidate('a'), candidate('b'), candidate('c')]
    for (let i = 0; i < 4; i++) choose([a, b, c])
    const counts = tally(() => choose([a, c]), 100)
    expect(Math.abs((counts.a ?? 0) - (counts.c ?? 0))).toBeLessThanOrEqual(4)
  })
})

test('at random, weights are kept', () => {
  const choose = choiceOf('random', 'default')
  const counts = tally(() => choose([candidate('a', { weight: 9 }), candidate('b')]))
  expect((counts.a ?? 0) / 20_000).toBeCloseTo(0.9, 1)
})

describe('a function', () => {
  const all = [candidate('a', { busy: 1 }), candidate('b')]

  test('chooses by a candidate or its name', () => {
    expect(choiceOf((given) => given[0] as Candidate, 'default')(all).name).toBe('a')
    expect(choiceOf(() => 'b', 'default')(all).name).toBe('b')
  })

  const wrong: Record<string, (candidates: readonly Candidate[]) => never> = {
    throws: () => {
      throw new Error('no')
    },
    'gives nothing': () => undefined as never,
    'gives a name that is not there': () => 'c' as never,
    'gives a candidate that is none': ([first]) => ({ ...first }) as never,
    'gives a promise of one': ([, second]) => Promise.resolve(second) as never,
    'gives a promise that rejects': () => Promise.reject(new Error('no')) as never,
    'gives what throws when it is awaited': () =>
      ({
        // biome-ignore lint/suspicious/noThenProperty: that is what it is about
        get then() {
          throw new Error('no')
        },
      }) as never,
  }
  for (const [name, choose] of Object.entries(wrong)) {
    test(`that ${name} fails no query, and is named once`, async () => {
      const choice = choiceOf(choose, 'default')
      const warnings = await warningsOf(() => {
        for (let i = 0; i < 3; i++) expect(choice(all).name).toBe('b')
      })
      expect(warnings).toEqual(['WRITE_PINNING_CHOOSE'])
    })
  }
})

describe('the replica of a key', () => {
  const all = ['a', 'b', 'c', 'd'].map((name) => candidate(name))
  const keys = Array.from({ length: 10_000 }, (_, index) => `user ${index}`)
  const ownerOf = (candidates: readonly Candidate[], key: string) => rendezvous(candidates, key)?.name

  test('is the same each time, in whatever order they come', () => {
    for (const key of keys.slice(0, 100)) {
      expect(ownerOf([...all].reverse(), key)).toBe(ownerOf(all, key))
    }
  })

  test('is any of them as often as any other', () => {
    for (const { name } of all) {
      const share = keys.filter((key) => ownerOf(all, key) === name).length / keys.length
      expect(share).toBeGreaterThan(0.22)
      expect(share).toBeLessThan(0.28)
    }
  })

  test('changes only for the keys of the one that is lost, or added', () => {
    const without = all.filter(({ name }) => name !== 'c')
    for (const key of keys) {
      const before = ownerOf(all, key)
      if (before === 'c') expect(ownerOf(without, key)).not.toBe('c')
      else expect(ownerOf(without, key)).toBe(before)
    }
  })

  test('follows the weights', () => {
    const weighted = [candidate('a', { weight: 3 }), candidate('b')]
    const share = keys.filter((key) => ownerOf(weighted, key) === 'a').length / keys.length
    expect(share).toBeCloseTo(0.75, 1)
  })
})
