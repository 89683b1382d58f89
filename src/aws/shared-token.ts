// A token that was signed with temporary credentials ends with them, and nothing in the token says when. AWS's
// providers renew credentials that have less than five minutes left. So a token that is younger than this is good in
// any case.
const FRESH_MS = 4 * 60_000
/** How long a token is given out, in ms, of the 15 minutes that it is valid. */
const MAX_AGE_MS = 14 * 60_000
/** How long a connection waits for a new token while the old one is good, in ms: a login has its own timeout. */
const PATIENCE_MS = 500
/** After how long a signing is given up, in ms, so that the next connection may try again. */
const SIGNING_MS = 10_000

/**
 * One token for all connections. It is signed when one is needed, once for all who wait, and again before it ends. If
 * that fails, the old token serves for as long as it is good. A failure is not kept.
 */
export class SharedToken {
  readonly #sign: () => Promise<string>
  readonly #nowMs: () => number
  #held: { readonly token: string; readonly signedAtMs: number } | undefined
  #signing: Promise<string> | undefined

  /** `sign` gives a token that is good for 15 minutes. */
  constructor(sign: () => Promise<string>, nowMs: () => number) {
    this.#sign = sign
    this.#nowMs = nowMs
  }

  /**
   * Gives a token that is good.
   *
   * @throws what signing throws, if there is none.
   */
  async get(): Promise<string> {
    const held = this.#held
    if (held === undefined) return this.#renew()
    const ageMs = this.#nowMs() - held.signedAtMs
    // If the clock was set back, nobody knows the token's age.
    if (ageMs < 0 || ageMs >= MAX_AGE_MS) return this.#renew()
    if (ageMs < FRESH_MS) return held.token
    const old = async () => held.token
    return within(PATIENCE_MS, this.#renew().catch(old), old)
  }

  #renew(): Promise<string> {
    this.#signing ??= this.#signAnew().finally(() => {
      this.#signing = undefined
    })
    return this.#signing
  }

  async #signAnew(): Promise<string> {
    const signedAtMs = this.#nowMs()
    const token = await within(SIGNING_MS, this.#sign(), async () => {
      throw new Error(`It took more than ${SIGNING_MS} ms.`)
    })
    this.#held = { token, signedAtMs }
    return token
  }
}

/** Gives what `work` gives, or what `otherwise` gives if `work` takes longer. */
function within<T>(limitMs: number, work: Promise<T>, otherwise: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(otherwise()), limitMs).unref()
    work.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}
