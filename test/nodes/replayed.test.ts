import { describe, expect, test } from 'vitest'
import { Replayed } from '../../src/nodes/lag.ts'

const answer = (lsn: number, askedAtMs: number, startedAt?: string) => ({
  lsn: BigInt(lsn),
  askedAtMs,
  startedAt,
})

describe('how far a server has replayed', () => {
  test('is not known before it was asked, nor once it was forgotten', () => {
    const replayed = new Replayed()
    expect(replayed.lsn).toBeUndefined()
    replayed.saw(answer(10, 0), 1)
    replayed.forget()
    expect(replayed.lsn).toBeUndefined()
  })

  test('grows with later answers', () => {
    const replayed = new Replayed()
    replayed.saw(answer(10, 0), 1)
    replayed.saw(answer(20, 2), 3)
    expect(replayed.lsn).toBe(20n)
  })

  test('is not taken back by an answer to a question that was under way at the time', () => {
    const replayed = new Replayed()
    replayed.saw(answer(20, 1), 3)
    replayed.saw(answer(10, 2), 4)
    expect(replayed.lsn).toBe(20n)
  })

  test('is taken back by a lower answer to a later question: the server crashed', () => {
    const replayed = new Replayed()
    replayed.saw(answer(20, 1, 'start'), 3)
    replayed.saw(answer(10, 3, 'start'), 4)
    expect(replayed.lsn).toBe(10n)
    // What was asked before the crash, and is heard of only now, says nothing any more.
    replayed.saw(answer(20, 2, 'start'), 5)
    expect(replayed.lsn).toBe(10n)
  })

  test('counts from when a position was first known, and not from when it was heard of again', () => {
    const replayed = new Replayed()
    replayed.saw(answer(20, 1), 2)
    replayed.saw(answer(20, 3), 9)
    replayed.saw(answer(10, 4), 5)
    expect(replayed.lsn).toBe(10n)
  })

  test('begins anew with a server that was started anew', () => {
    const replayed = new Replayed()
    replayed.saw(answer(20, 1, 'first'), 4)
    replayed.saw(answer(10, 2, 'second'), 5)
    expect(replayed.lsn).toBe(10n)
    replayed.saw(answer(20, 0, 'first'), 6)
    expect(replayed.lsn).toBe(10n)
  })
})
