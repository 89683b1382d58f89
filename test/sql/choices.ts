import type { Random } from './random.ts'

/** Choices that generated statements are made of. */
export class Choices {
  readonly random: Random
  readonly #harm: number

  /** `harm` is the probability, per place, of what writes, locks or is volatile. */
  constructor(random: Random, harm: number) {
    this.random = random
    this.#harm = harm
  }

  list(one: () => string[], most: number): string[] {
    const tokens = one()
    for (let count = this.random.below(most); count > 0; count--) tokens.push(',', ...one())
    return tokens
  }

  pick<Value>(values: readonly Value[]): Value {
    return this.random.pick(values)
  }

  harms(weight: number): boolean {
    return this.random.chance(this.#harm * weight)
  }
}

/** The tokens of a piece, written with spaces between them. */
export function words(text: string): string[] {
  return text === '' ? [] : text.split(' ')
}
