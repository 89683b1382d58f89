import { describe, expect, test } from 'vitest'
import { beforePageHeader, formatLsn, parseLsn } from '../src/lsn.ts'

describe('a WAL position', () => {
  test.each([
    ['0/0', 0n],
    ['0/3000148', 0x3000148n],
    ['16/B374D848', 0x16_b374_d848n],
    ['FFFFFFFF/FFFFFFFF', 0xffff_ffff_ffff_ffffn],
  ])('%s is read and written as PostgreSQL does', (text, lsn) => {
    expect(parseLsn(text)).toBe(lsn)
    expect(parseLsn(text.toLowerCase())).toBe(lsn)
    expect(formatLsn(lsn)).toBe(text)
  })

  test.each([
    '',
    '0',
    '/',
    '0/',
    '/0',
    '0/0/0',
    ' 0/0',
    '0/0 ',
    '0/g',
    '-1/0',
    '0x1/0',
    '100000000/0',
    '0/100000000',
    null,
    undefined,
    5,
  ])('%j is none', (text) => {
    expect(parseLsn(text)).toBeUndefined()
  })
})

describe('an insert position behind a page header', () => {
  const SEGMENT = 16 * 1024 * 1024

  test.each([
    ['behind the header of a page', 5 * 8192 + 24, 5 * 8192],
    ['behind the header of a segment', 3 * SEGMENT + 40, 3 * SEGMENT],
    ['within the header of a segment', 3 * SEGMENT + 24, 3 * SEGMENT + 24],
    ['forty bytes into a page', 5 * 8192 + 40, 5 * 8192 + 40],
    ['at a boundary', 5 * 8192, 5 * 8192],
    ['behind the first record of a page', 5 * 8192 + 32, 5 * 8192 + 32],
    ['at the end of a page', 5 * 8192 - 8, 5 * 8192 - 8],
    ['at the start of all', 0, 0],
  ])('%s', (_where, lsn, without) => {
    expect(beforePageHeader(BigInt(lsn))).toBe(BigInt(without))
  })

  test('knows where the segments of another size begin', () => {
    const big = 64 * 1024 * 1024
    expect(beforePageHeader(BigInt(SEGMENT + 24), big)).toBe(BigInt(SEGMENT))
    expect(beforePageHeader(BigInt(SEGMENT + 40), big)).toBe(BigInt(SEGMENT + 40))
    expect(beforePageHeader(BigInt(big + 40), big)).toBe(BigInt(big))
  })
})
