import { expect, test } from 'vitest'
import { RefusedTexts } from '../../src/nodes/refused-texts.ts'

const SQL = 'select id from note'

test('a text rests for 1 s, and twice as long each time that it is refused again, up to 60 s', () => {
  const refused = new RefusedTexts()
  let nowMs = 0
  expect(refused.ask(SQL, nowMs)).toBe('new')
  expect(refused.refuse(SQL, nowMs)).toBe(false)
  for (const restMs of [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1_000)) {
    expect(refused.ask(SQL, nowMs + restMs - 1)).toBe('resting')
    nowMs += restMs
    expect(refused.ask(SQL, nowMs)).toBe('again')
    expect(refused.refuse(SQL, nowMs)).toBe(true)
  }
})

test('after a rest one asks, and the others wait for what it finds', () => {
  const refused = new RefusedTexts()
  refused.refuse(SQL, 0)
  expect([1_000, 1_001, 1_999].map((nowMs) => refused.ask(SQL, nowMs))).toEqual([
    'again',
    'resting',
    'resting',
  ])
  // It never came back: the next one asks.
  expect(refused.ask(SQL, 2_000)).toBe('again')
})

test('what was under way when a text was refused first says nothing more', () => {
  const refused = new RefusedTexts()
  refused.refuse(SQL, 0)
  expect(refused.refuse(SQL, 500)).toBe(false)
  expect(refused.refuse(SQL, 1_500)).toBe(false)
  expect(refused.ask(SQL, 1_500)).toBe('again')
})

test('a text that is accepted is forgotten', () => {
  const refused = new RefusedTexts()
  refused.refuse(SQL, 0)
  refused.accept(SQL)
  expect(refused.isEmpty).toBe(true)
  expect(refused.ask(SQL, 1)).toBe('new')
})

test('at most 1,000 texts are known, and none that is very long', () => {
  const refused = new RefusedTexts()
  for (let index = 0; index < 1_000; index++) refused.refuse(`${SQL} ${index}`, 0)
  expect(refused.ask(`${SQL} 0`, 1)).toBe('resting')
  refused.refuse(SQL, 0)
  expect(refused.ask(`${SQL} 0`, 1)).toBe('new')
  expect(refused.ask(SQL, 1)).toBe('resting')
  const long = `${SQL} -- ${'x'.repeat(10_000)}`
  refused.refuse(long, 0)
  expect(refused.ask(long, 1)).toBe('new')
})
