import { expect, test } from 'vitest'
import { SpillGate } from '../../src/nodes/spill-gate.ts'
import { codeOf } from '../support/warnings.ts'

const MANY = 40_000
/** Long enough for whoever is not to time out. */
const LONG_MS = 60_000

/** Fills a gate of one, and has so many wait there; gives in which order they entered, or were told to look again. */
async function crowd(waiting: number) {
  const gate = new SpillGate('default', () => 1)
  await gate.enter()
  const entered: number[] = []
  const told: number[] = []
  const all = Array.from({ length: waiting }, async (_, index) => {
    if (await gate.enter(LONG_MS)) entered.push(index)
    else told.push(index)
  })
  return { gate, entered, told, all: Promise.all(all) }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index)

test('forty thousand that wait enter one after the other, in the order in which they came', async () => {
  const { gate, entered, all } = await crowd(MANY)
  expect(gate.waiting).toBe(MANY)
  for (let count = 0; count < MANY; count++) gate.leave()
  await all
  expect(entered).toEqual(upTo(MANY))
  expect([gate.waiting, gate.inside]).toEqual([0, 1])
})

test('forty thousand that wait are told to look again, in the order in which they came', async () => {
  const { gate, told, all } = await crowd(MANY)
  gate.lookAgain()
  await all
  expect(told).toEqual(upTo(MANY))
  expect([gate.waiting, gate.inside]).toEqual([0, 1])
})

test('forty thousand that wait too long fail, each with an error of its own, and hold up nobody who comes then', async () => {
  const gate = new SpillGate('default', () => 1)
  await gate.enter()
  const outcomes = await Promise.allSettled(upTo(MANY).map(() => gate.enter(20)))
  const codes = outcomes.map((each) => (each.status === 'rejected' ? each.reason.code : each.value))
  expect(new Set(codes)).toEqual(new Set(['ERR_WRITE_PINNING_NO_REPLICA']))
  expect([gate.waiting, gate.inside]).toEqual([0, 1])
  const next = gate.enter(LONG_MS)
  gate.leave()
  expect(await next).toBe(true)
})

test('who times out in the middle of the line is passed by, and who comes while others enter is the last', async () => {
  const gate = new SpillGate('default', () => 1)
  await gate.enter()
  const entered: string[] = []
  const wait = (name: string, waitMs = LONG_MS) => gate.enter(waitMs).then(() => entered.push(name))
  const first = wait('first')
  const gone = codeOf(() => wait('gone', 1))
  const second = wait('second')
  expect(await gone).toBe('ERR_WRITE_PINNING_NO_REPLICA')
  gate.leave()
  await first
  const third = wait('third')
  gate.leave()
  gate.leave()
  await Promise.all([second, third])
  expect(entered).toEqual(['first', 'second', 'third'])
  // The line was at its end once.
  const fourth = wait('fourth')
  gate.leave()
  await fourth
  gate.leave()
  expect([gate.waiting, gate.inside, gate.isFull]).toEqual([0, 0, false])
})
