import { describe, expect, test } from 'vitest'
import { mergePins } from '../../src/freshness/merge-pins.ts'
import type { Pin } from '../../src/freshness/pin.ts'
import { MAX_VERIFIED, pinOfCookies, pinOfHeader } from '../../src/pinning/carried-pin.ts'
import { signingKeys } from '../../src/pinning/signer.ts'
import { encodeToken, type TokenSettings } from '../../src/pinning/token.ts'
import { RandomPins } from './pins.ts'

const contextOf = (...secrets: string[]): TokenSettings => ({
  cookieName: 'write_pin',
  keys: signingKeys(secrets),
  pinningSeconds: 15,
})
const OWN = contextOf('the secret of today, also 32 characters', 'the secret of yesterday, of 32 characters')
const FOREIGN = contextOf('the secret of another application, of 32')
const UNSIGNED = contextOf()
const [first = { id: '' }, second = { id: '' }] = OWN.keys

/** What an attacker puts beside an honest pin: anything, under any name. */
class Attacker {
  readonly #pins: RandomPins

  constructor(seed: number) {
    this.#pins = new RandomPins(seed, Date.now() + 5_000, 200_000_000)
  }

  cookie(): string {
    const names = [
      'write_pin',
      `write_pin_${first.id}`,
      `write_pin_${second.id}`,
      'write_pin_abc',
      'write_pin_',
    ]
    return `${this.#oneOf([...names, 'x', '', 'write_pin_abcd', 'WRITE_PIN'])}=${this.value()}`
  }

  value(): string {
    const token = encodeToken(this.#pins.pin(), this.#oneOf([FOREIGN, UNSIGNED]))
    const letters = 'tce~.!w-_=0129azAZ\u00ff;, "%'
    switch (this.#pins.below(6)) {
      case 0:
        return token
      case 1:
        return token.replace(/^2.../, `2${this.#oneOf([first.id, second.id])}`)
      case 2:
        return token.slice(this.#pins.below(5), this.#pins.below(token.length))
      case 3: {
        const at = this.#pins.below(token.length)
        return `${token.slice(0, at)}${letters[this.#pins.below(letters.length)]}${token.slice(at + 1)}`
      }
      case 4:
        return `1t${'z'.repeat(this.#pins.below(13))}${this.#oneOf(['', `.${'A'.repeat(43)}`])}`
      default:
        return Array.from(
          { length: this.#pins.below(80) },
          () => letters[this.#pins.below(letters.length)],
        ).join('')
    }
  }

  shuffled<T>(items: T[]): T[] {
    return items
      .map((item) => ({ item, order: this.#pins.below(1_000_000) }))
      .sort((a, b) => a.order - b.order)
      .map(({ item }) => item)
  }

  below(limit: number): number {
    return this.#pins.below(limit)
  }

  #oneOf<T>(items: readonly T[]): T {
    return items[this.#pins.below(items.length)] as T
  }
}

describe('what a client sends beside an honest pin', () => {
  test('adds nothing to it and takes nothing from it, whatever it is: 600 headers', () => {
    const attacker = new Attacker(11)
    const honest = new RandomPins(12, Date.now() + 60_000, 3_600_000)
    for (let round = 0; round < 600; round++) {
      const pins = Array.from({ length: attacker.below(3) }, () => honest.pin())
      const forged = Array.from({ length: attacker.below(40) }, () => attacker.cookie())
      const genuine = pins.map((pin) => {
        const key = attacker.below(2) === 0 ? first : second
        const context = { ...OWN, keys: OWN.keys.filter(({ id }) => id === key.id) }
        return `write_pin${attacker.below(2) === 0 ? '' : `_${key.id}`}=${encodeToken(pin, context)}`
      })
      const header = attacker.shuffled([...forged, ...genuine]).join('; ')
      const { pin, tooLongLived, doubtUntilMs, unverifiedUntilMs } = pinOfCookies(header, OWN)
      const expected = pins.reduce<Pin | undefined>((all, each) => mergePins(all, each), undefined)
      if (textOf(pin) !== textOf(expected)) expect(pin, header).toEqual(expected)
      expect(tooLongLived).toBeUndefined()
      expect(doubtUntilMs).toBeLessThanOrEqual(Date.now() + 15_000)
      expect(unverifiedUntilMs).toBe(0)
    }
  })

  test('is worth no more than a write where there is no secret', () => {
    const attacker = new Attacker(13)
    for (let round = 0; round < 600; round++) {
      const header = Array.from({ length: attacker.below(40) }, () => attacker.cookie()).join('; ')
      const { pin, tooLongLived, doubtUntilMs } = pinOfCookies(header, UNSIGNED)
      expect(pin?.untilMs ?? 0).toBeLessThanOrEqual(Date.now() + 45_000)
      expect(tooLongLived?.untilMs ?? 0).toBeLessThanOrEqual(Date.now() + 86_400_000)
      expect(doubtUntilMs).toBe(0)
      if (tooLongLived === undefined) continue
      // What is handed on goes into a token that can be read again.
      const again = pinOfCookies(`write_pin=${encodeToken(mergePins(pin, tooLongLived), UNSIGNED)}`, UNSIGNED)
      expect(again.pin).toBeDefined()
      expect(again.ignored.has('malformed')).toBe(false)
    }
  })

  test('in the header is as harmless', () => {
    const attacker = new Attacker(14)
    for (let round = 0; round < 600; round++) {
      const header = Array.from({ length: attacker.below(40) }, () => attacker.value()).join(', ')
      const { pin, doubtUntilMs } = pinOfHeader(header, OWN)
      expect(pin).toBeUndefined()
      expect(doubtUntilMs).toBeLessThanOrEqual(Date.now() + 15_000)
    }
  })

  test('is verified as far as it goes into 16 KB, and beyond that in doubt, whose time is bound too', () => {
    const untilMs = Date.now() + 60_000
    const forged = (count: number) =>
      Array.from({ length: count }, (_, i) => `write_pin=1t${(untilMs + i).toString(36)}.${'A'.repeat(43)}`)
    const full = forged(Math.floor(16_384 / `${forged(1)}; `.length))
    expect(full.length).toBeLessThan(MAX_VERIFIED)
    expect(pinOfCookies(full.join('; '), OWN).unverifiedUntilMs).toBe(0)
    const { unverifiedUntilMs, ignored } = pinOfCookies(forged(MAX_VERIFIED + 1).join('; '), OWN)
    expect(unverifiedUntilMs).toBeGreaterThan(Date.now())
    expect(unverifiedUntilMs).toBeLessThanOrEqual(Date.now() + 15_000)
    expect([...ignored]).toEqual(['bad-signature'])
    const named = Array.from(
      { length: 2_000 },
      (_, i) => `write_pin_abc=1t${(untilMs + i).toString(36)}.${'A'.repeat(43)}`,
    )
    expect(pinOfCookies(named.join('; '), OWN).unverifiedUntilMs).toBe(0)
  })
})

function textOf(pin: Pin | undefined): string | undefined {
  return JSON.stringify(pin, (_key, value) => {
    if (typeof value === 'bigint') return String(value)
    return value instanceof Map ? [...value].sort() : value
  })
}
