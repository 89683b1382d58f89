import { createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { MAX_CLUSTERS, pinUntil } from '../../src/freshness/merge-pins.ts'
import { clusterKey, type ExactPin, type Pin } from '../../src/freshness/pin.ts'
import { signingKeys } from '../../src/pinning/signer.ts'
import {
  believedPin,
  encodeToken,
  hasRightSignature,
  readToken,
  type TokenSettings,
} from '../../src/pinning/token.ts'
import { RandomPins } from './pins.ts'

const OLD = 'the secret of yesterday, of 32 characters'
const NEW = 'the secret of today, also 32 characters'
const POSITION = { systemId: '7300000000000000001', timeline: 1, lsn: 0x3000148n }

const signed = (...secrets: string[]): TokenSettings => ({
  cookieName: 'write_pin',
  keys: signingKeys(secrets),
  pinningSeconds: 15,
})
const unsigned = signed()
const soon = () => Date.now() + 10_000

function exactPin(untilMs = soon(), cluster = 'default', position = POSITION): ExactPin {
  const clusters = new Map([[clusterKey(cluster), { primaryUntilMs: 0, exact: { position, untilMs } }]])
  return { kind: 'exact', untilMs, primaryUntilMs: 0, clusters }
}

/** What a token is worth: its pin, or why it is worth nothing. */
function worth(token: string, context: TokenSettings): Pin | string {
  const claim = readToken(token)
  if (typeof claim === 'string') return claim
  return hasRightSignature(claim, context) ? believedPin(claim, context) : 'bad-signature'
}

describe('a token', () => {
  test('gives back what was written into it, 50,000 times', () => {
    const pins = new RandomPins(1, Date.now() + 20_000, 20_000)
    for (let round = 0; round < 25_000; round++) {
      const pin = pins.pin()
      for (const context of [unsigned, signed(NEW, OLD)]) {
        const token = encodeToken(pin, context)
        const read = worth(token, context)
        if (!sameAs(pin, read)) expect(read, token).toEqual(pin)
      }
    }
  })

  test('of one cluster is at most 120 characters, whatever it holds', () => {
    const largest = { systemId: String(2n ** 64n - 1n), timeline: 2 ** 32 - 1, lsn: 2n ** 64n - 1n }
    for (const name of ['default', 'a-name_of-16-dig', 'a longer name, with a space and a 😀']) {
      const pin = exactPin(Date.UTC(2059, 0), name, largest)
      expect(encodeToken(pin, signed(NEW)).length, name).toBeLessThanOrEqual(120)
    }
  })

  test('says until when it is because of a write, as long as nothing was added that may be written later', () => {
    const [untilMs, writtenUntilMs] = [soon(), soon() - 5_000]
    const seen = encodeToken({ ...exactPin(untilMs), writtenUntilMs }, unsigned)
    expect(worth(seen, unsigned)).toMatchObject({ writtenUntilMs })
    expect(worth(encodeToken({ ...exactPin(untilMs), writtenUntilMs: 0 }, unsigned), unsigned)).toMatchObject(
      {
        writtenUntilMs: 0,
      },
    )
    // A process that does not know that claim hands it on as it is, beside what was written there.
    const [, later] = encodeToken(exactPin(untilMs + 1_000, 'stock'), unsigned).split('.')
    expect(worth(`${seen}.${later}`, unsigned)).not.toHaveProperty('writtenUntilMs')
  })

  test('needs no quoting or decoding in a cookie or header', () => {
    for (const name of ['default', 'a name; with=everything,"in\\it', 'été']) {
      const token = encodeToken(exactPin(soon(), name), signed(NEW))
      expect(token).toMatch(/^[\w.~!-]+$/)
      expect(encodeURIComponent(token)).toBe(token)
    }
  })

  test('of a cluster with a long name is that of no other long name', () => {
    const keys = ['a long name of a cluster', 'a long name of b cluster', '', ' ', '!'].map(clusterKey)
    expect(new Set(keys).size).toBe(keys.length)
  })

  test('of a time pin is of version 1, which older processes read as well', () => {
    const untilMs = soon()
    const text = `1t${untilMs.toString(36)}`
    expect(encodeToken({ kind: 'time', untilMs }, unsigned)).toBe(text)
    const signature = createHmac('sha256', NEW)
      .update(`write-pinning\0write_pin\0${text}`)
      .digest('base64url')
    expect(encodeToken({ kind: 'time', untilMs }, signed(NEW))).toBe(`${text}.${signature}`)
    expect(worth(`${text}.${signature}`, signed(OLD, NEW))).toEqual({ kind: 'time', untilMs })
  })

  test('is read without what is over', () => {
    const late = soon()
    const pin = exactPin(late)
    const clusters = new Map([
      ...pin.clusters,
      ['stock', { primaryUntilMs: Date.now() - 1, exact: undefined }] as const,
    ])
    expect(worth(encodeToken({ ...pin, clusters }, unsigned), unsigned)).toEqual(pin)
    expect(worth(encodeToken(exactPin(Date.now() - 1), unsigned), unsigned)).toBe('expired')
  })

  test('that was signed is worth what it says, for a day at most', () => {
    const pin = exactPin(Date.now() + 3_600_000)
    expect(worth(encodeToken(pin, signed(NEW)), signed(NEW))).toEqual(pin)
    for (const untilMs of [Date.now() + 100_000_000, Number.MAX_SAFE_INTEGER, 1e17]) {
      for (const far of [exactPin(untilMs), { kind: 'time', untilMs } as const]) {
        const read = worth(encodeToken(far, signed(NEW)), signed(NEW)) as Pin
        expect(read).toEqual(pinUntil(far, read.untilMs))
        expect(Math.abs(read.untilMs - Date.now() - 86_400_000)).toBeLessThan(10_000)
      }
    }
  })

  test('that nobody signed is worth no more than a write, where it is further ahead than clocks explain', () => {
    const near = exactPin(Date.now() + 40_000)
    expect(worth(encodeToken(near, unsigned), unsigned)).toEqual(near)
    const read = worth(encodeToken(exactPin(Date.now() + 46_000), unsigned), unsigned) as Pin
    expect(Math.abs(read.untilMs - Date.now() - 15_000)).toBeLessThan(10_000)
  })

  test('that was signed before is read where there is no secret any more', () => {
    const pin = exactPin()
    expect(worth(encodeToken(pin, signed(NEW)), unsigned)).toEqual(pin)
  })
})

describe('a forged token', () => {
  const context = signed(NEW, OLD)

  test('of a single changed bit is worth nothing, nor is a truncated one: 100,000 of them', () => {
    const pins = new RandomPins(2, Date.now() + 5_000, 20_000)
    let tried = 0
    const accepted: string[] = []
    const attempt = (token: string) => {
      tried++
      if (typeof worth(token, context) !== 'string') accepted.push(token)
    }
    while (tried < 100_000) {
      const token = encodeToken(pins.pin(), context)
      for (let length = 0; length < token.length; length++) attempt(token.slice(0, length))
      const bytes = Buffer.from(token, 'latin1')
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const changed = Buffer.from(bytes)
        changed.writeUInt8(bytes.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
        attempt(changed.toString('latin1'))
      }
    }
    expect(accepted).toEqual([])
  })

  test('never throws, whatever it is', () => {
    const pins = new RandomPins(3, Date.now(), 20_000)
    const alphabet = '012tce.~!abz_-AZ€\u0000 '
    for (let round = 0; round < 50_000; round++) {
      const letters = Array.from({ length: pins.below(60) }, () => alphabet[pins.below(alphabet.length)])
      expect(typeof worth(`2.${letters.join('')}`, context)).toBe('string')
    }
  })

  test.each([
    ['an unsigned one', () => encodeToken(exactPin(), unsigned), 'bad-signature'],
    ['of another secret', () => encodeToken(exactPin(), signed('x'.repeat(32))), 'bad-signature'],
    [
      'of another cookie',
      () => encodeToken(exactPin(), { ...context, cookieName: 'other_pin' }),
      'bad-signature',
    ],
    ['of no cluster', () => '2.', 'malformed'],
    ['of a later version', () => encodeToken(exactPin(), unsigned).replace('2', '3'), 'malformed'],
    ['of position 0', () => `2.e${soon().toString(36)}~0~1~1~default`, 'malformed'],
    ['of timeline 0', () => `2.e${soon().toString(36)}~1~0~1~default`, 'malformed'],
    [
      'of a position beyond 64 bits',
      () => `2.e${soon().toString(36)}~1${'0'.repeat(16)}~1~1~default`,
      'malformed',
    ],
    ['of system 0', () => `2.e${soon().toString(36)}~1~1~0~default`, 'malformed'],
    ['of a place with a dot', () => `2.e${soon().toString(36)}~1~1~1~a.b`, 'malformed'],
    ['of no place', () => `2.e${soon().toString(36)}~1~1~1~`, 'malformed'],
    ['with a line break', () => `${encodeToken(exactPin(), unsigned)}\n`, 'malformed'],
    [
      'with a key, and no signature',
      () => encodeToken(exactPin(), unsigned).replace('2.', '2abc.'),
      'malformed',
    ],
    [
      'of more clusters than there can be',
      () => `2${`.c${soon().toString(36)}~x`.repeat(2 * MAX_CLUSTERS + 2)}`,
      'malformed',
    ],
    ['of 64 KB', () => `2.${'e'.repeat(65_536)}`, 'malformed'],
  ])('%s is ignored, by its reason', (_what, token, reason) => {
    expect(worth(token(), context)).toBe(reason)
  })

  test('whose claims were moved to another token of the same key is worth nothing', () => {
    const [head, claims, signature] = encodeToken(exactPin(), context).split('.')
    const [, other] = encodeToken(exactPin(soon(), 'stock'), context).split('.')
    expect(worth(`${head}.${claims}.${other}.${signature}`, context)).toBe('bad-signature')
    expect(worth(`${head}.${other}.${signature}`, context)).toBe('bad-signature')
    expect(worth(`1t${soon().toString(36)}.${signature}`, context)).toBe('bad-signature')
  })
})

describe('a secret that is replaced', () => {
  test('verifies as long as it is there, and signs as long as it is the first', () => {
    const before = encodeToken(exactPin(), signed(OLD))
    const after = encodeToken(exactPin(), signed(NEW, OLD))
    expect(typeof worth(before, signed(NEW, OLD))).toBe('object')
    expect(typeof worth(after, signed(NEW))).toBe('object')
    expect(worth(before, signed(NEW))).toBe('bad-signature')
  })
})

/** A comparison that is fast enough for many. */
function sameAs(pin: Pin, read: Pin | string): boolean {
  return typeof read !== 'string' && textOf(pin) === textOf(read)
}

function textOf(pin: Pin): string {
  return JSON.stringify(pin, (_key, value) => {
    if (typeof value === 'bigint') return String(value)
    return value instanceof Map ? [...value].sort() : value
  })
}
