import { type Node, unavailable } from './node.ts'
import { SignsOfLife } from './signs-of-life.ts'

/** How long nothing may be heard of a primary that is down until what is under way on it is given up, in ms. */
const PATIENCE_MS = 10_000

/**
 * For how long nothing has been heard of a primary: neither by its watcher, nor on the sessions of its pool, which may go on where nobody
 * else gets in. There is nobody but the primary for what waits on it, so it is given up late; but not never.
 */
export class PrimarySilence {
  readonly #primary: Node
  readonly #signs: SignsOfLife
  #sinceMs: number | undefined
  #wasCut = false

  constructor(primary: Node) {
    this.#primary = primary
    this.#signs = new SignsOfLife(primary.pool)
  }

  /** It was heard of. */
  end(): void {
    this.#sinceMs = undefined
    this.#wasCut = false
  }

  /** Its watcher was refused a connection, or not answered; gives whether nobody else has heard of it either since the last time. */
  goesOn(how: 'refused' | 'unanswered'): boolean {
    const nowMs = performance.now()
    const isBroken = this.#sinceMs === undefined || this.#signs.isAny
    if (isBroken) this.#sinceMs = nowMs
    this.#signs.listen()
    const lastsMs = nowMs - (this.#sinceMs ?? nowMs)
    if (lastsMs > PATIENCE_MS && this.#primary.health === 'down') this.#giveUp(how)
    return !isBroken
  }

  /** Where new connections are refused, they fail by themselves. Where they are not answered, each would only add to those who wait. */
  #giveUp(how: 'refused' | 'unanswered'): void {
    const { name, pool } = this.#primary
    if (how === 'refused') {
      // Once: what is connected later has got through to it.
      if (!this.#wasCut) pool.cut()
    } else {
      pool.cutOff(unavailable(`'${name}' is the primary, and has not answered for ${PATIENCE_MS} ms.`))
    }
    this.#wasCut = true
  }
}
