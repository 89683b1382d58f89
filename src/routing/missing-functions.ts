import { type FunctionFacts, keyOf } from '../sql/function-facts.ts'
import type { FunctionCall } from '../sql/statement-text.ts'

/** How long a function that the server does not have is no reason to ask it again: another process may make one of that name. */
const REST_MS = 300_000
/** How many are remembered; an application has a handful. */
const MAX_FUNCTIONS = 1_000

/** The functions that statements call and the server does not have: the column of a row that is written like a call, say. */
export class MissingFunctions {
  /** Those that the server has not been asked for since. */
  readonly #asked = new Map<string, FunctionCall>()
  /** Until when those that it does not have are not asked for again. */
  readonly #missing = new Map<string, { readonly call: FunctionCall; readonly untilMs: number }>()

  /** Whether it is worth a question: then it is asked for by the next one. */
  ask(call: FunctionCall): boolean {
    const key = keyOf(call)
    const missing = this.#missing.get(key)
    if (missing !== undefined && performance.now() < missing.untilMs) return false
    if (this.#asked.size < MAX_FUNCTIONS) this.#asked.set(key, call)
    return true
  }

  /** The server's functions are read from now on; gives those that it is asked for. */
  begin(): readonly FunctionCall[] {
    return [...this.#asked.values()]
  }

  /** They were read, and those that it was asked for are among them or do not exist. */
  wereRead(asked: readonly FunctionCall[], facts: FunctionFacts): void {
    for (const call of [...[...this.#missing.values()].map((each) => each.call), ...asked]) {
      const key = keyOf(call)
      this.#asked.delete(key)
      if (facts.effectOf(call) !== 'unknown') this.#missing.delete(key)
      else if (this.#missing.size < MAX_FUNCTIONS || this.#missing.has(key)) {
        this.#missing.set(key, { call, untilMs: performance.now() + REST_MS })
      }
    }
  }

  /** The schema has changed: any may exist by now. */
  forget(): void {
    this.#missing.clear()
  }
}
