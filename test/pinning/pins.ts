import { pinOfParts } from '../../src/freshness/merge-pins.ts'
import type { ClusterPin, Pin } from '../../src/freshness/pin.ts'
import { haveSameHistory, type Position } from '../../src/freshness/position.ts'
import type { Requirement } from '../../src/freshness/requirement.ts'

/** Numbers that look random and are the same in each run (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Makes pins of all kinds, whose times are over within `withinMs` from `nowMs` on. */
export class RandomPins {
  readonly #random: () => number
  readonly #nowMs: number
  readonly #withinMs: number

  constructor(seed: number, nowMs: number, withinMs: number) {
    this.#random = randomNumbers(seed)
    this.#nowMs = nowMs
    this.#withinMs = withinMs
  }

  pin(places = ['default', 'stock', 'a-name_of-16-dig']): Pin {
    for (;;) {
      const clusters = new Map<string, ClusterPin>()
      for (const place of places) if (this.#random() < 0.6) clusters.set(place, this.#part())
      const primaryUntilMs = this.#random() < 0.3 ? this.#until() : 0
      const pin = pinOfParts(primaryUntilMs, clusters, 0, this.#writtenUntil())
      if (pin !== undefined) return pin
    }
  }

  position(): Position {
    const small = this.#random() < 0.7
    return {
      systemId: small ? '7300000000000000001' : String(this.#bits64()),
      timeline: small ? 1 + this.below(2) : 1 + this.below(0xffff_ffff),
      lsn: small ? BigInt(1 + this.below(1_000)) : this.#bits64(),
    }
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  #part(): ClusterPin {
    return {
      primaryUntilMs: this.#random() < 0.3 ? this.#until() : 0,
      exact: this.#random() < 0.8 ? { position: this.position(), untilMs: this.#until() } : undefined,
    }
  }

  /** Often all of it was written, and sometimes nothing. */
  #writtenUntil(): number | undefined {
    const kind = this.#random()
    if (kind < 0.5) return undefined
    return kind < 0.75 ? 0 : this.#until()
  }

  #until(): number {
    return this.#nowMs + 1 + this.below(this.#withinMs)
  }

  #bits64(): bigint {
    return (BigInt(this.below(2 ** 32)) << 32n) | BigInt(1 + this.below(2 ** 32 - 1))
  }
}

/** Whether a read that meets `one` meets `other` as well. */
export function isAsStrong(one: Requirement | undefined, other: Requirement | undefined): boolean {
  if (other === undefined) return true
  if (comesFromReads(one) && !comesFromReads(other)) return false
  if (one?.kind === 'primary') return true
  if (one?.kind !== 'atLeast' || other.kind !== 'atLeast') return false
  return haveSameHistory(one.position, other.position) && one.position.lsn >= other.position.lsn
}

function comesFromReads(requirement: Requirement | undefined): boolean {
  return requirement !== undefined && 'comesFromReads' in requirement && requirement.comesFromReads === true
}
