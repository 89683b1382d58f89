import { expect, test } from 'vitest'
import { ConfirmedErrors } from '../../src/nodes/refused-texts.ts'

const SQL = 'select f($1)'
/** An error as `pg` gives it. */
const unsupported = (given: object = {}) => ({
  code: '0A000',
  message: 'no "x"',
  file: 'jsonpath.c',
  line: '9',
  ...given,
})

test('an error is a text’s own once the primary has given the same, for 1 s', () => {
  const errors = new ConfirmedErrors()
  expect(errors.isConfirmed(SQL, unsupported(), 0)).toBe(false)
  errors.primaryGave(unsupported(), SQL, unsupported(), 0)
  expect(errors.isConfirmed(SQL, unsupported(), 999)).toBe(true)
  expect(errors.isConfirmed('select g($1)', unsupported(), 999)).toBe(false)
  // One asks the primary again; the others do not wait for what it finds.
  expect([1_000, 1_001].map((nowMs) => errors.isConfirmed(SQL, unsupported(), nowMs))).toEqual([false, true])
})

test('what the primary gives otherwise, or accepts, is not the text’s own', () => {
  for (const given of [unsupported({ code: '22023' }), unsupported({ message: 'no "y"' }), undefined]) {
    const errors = new ConfirmedErrors()
    errors.primaryGave(unsupported(), SQL, unsupported(), 0)
    errors.primaryGave(given, SQL, unsupported(), 0)
    expect(errors.isConfirmed(SQL, unsupported(), 1)).toBe(false)
  }
  const errors = new ConfirmedErrors()
  errors.primaryGave(unsupported(), SQL, unsupported(), 0)
  errors.primaryAccepted(SQL, unsupported())
  expect(errors.isConfirmed(SQL, unsupported(), 1)).toBe(false)
})

test('other values of a text have the same error by where the server raised it; one of another place is another', () => {
  const errors = new ConfirmedErrors()
  errors.primaryGave(unsupported(), SQL, unsupported(), 0)
  expect(errors.isConfirmed(SQL, unsupported({ message: 'no "y"' }), 1)).toBe(true)
  expect(errors.isConfirmed(SQL, unsupported({ file: 'plancat.c', message: 'not during recovery' }), 1)).toBe(
    false,
  )
})

test('an error that a function raised, a missing object, and one that nobody can place are known by their message', () => {
  const byMessage = [
    unsupported({ where: 'PL/pgSQL function f(text) line 2 at RAISE' }),
    unsupported({ code: '42P01' }),
    unsupported({ file: undefined }),
  ]
  for (const error of byMessage) {
    const errors = new ConfirmedErrors()
    errors.primaryGave(error, SQL, error, 0)
    expect(errors.isConfirmed(SQL, error, 1)).toBe(true)
    expect(errors.isConfirmed(SQL, { ...error, message: 'no "y"' }, 1)).toBe(false)
  }
})

test('a prepared statement that is out of date is nobody’s own', () => {
  const stale = unsupported({ message: 'cached plan must not change result type' })
  const errors = new ConfirmedErrors()
  errors.primaryGave(stale, SQL, stale, 0)
  expect(errors.isConfirmed(SQL, stale, 1)).toBe(false)
})
