import { WritePinningError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { afterRunningTime } from '../nodes/running-time.ts'
import type { Session } from '../nodes/session.ts'

/**
 * Fractions of the time that is left. After the first, a silent node is asked for a sign of life. After the second,
 * another node gets the read.
 */
const ASK_AFTER = 1 / 4
const MOVE_AFTER = 1 / 2

/** What a read can do if its node gives no sign of life. A read that is bound to its node can do nothing. */
export interface OtherNodes {
  /** Asks the node for a sign of life. */
  ask(): void
  /** Whether another node would serve the read. */
  areThere(): boolean
}

/**
 * How long a read may take in all, over all nodes on which it is tried. A node that is alive gets all of that time. A
 * node from which neither this read nor the watcher has heard gets half of what is left.
 */
export class ReadDeadline {
  readonly #timeoutMs: number
  readonly #untilMs: number

  /** Begins now. `timeoutMs` is the limit in all. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
    this.#untilMs = performance.now() + timeoutMs
  }

  /**
   * Waits for a read on a session. If the read is given up, its connection is closed: the session is still busy, and
   * would answer the next query with the rows of this one.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_READ_TIMEOUT` when the time is over;
   * `ERR_WRITE_PINNING_NODE_UNAVAILABLE` if another node is to use the rest of the time.
   */
  within<T>(reading: Promise<T>, session: Session, others?: OtherNodes): Promise<T> {
    const { node } = session
    const sentAtMs = performance.now()
    const leftMs = Math.max(1, this.#untilMs - sentAtMs)
    return new Promise((resolve, reject) => {
      const giveUp = (error: WritePinningError) => {
        reject(error)
        session.client.connection?.stream?.destroy()
      }
      const wait = (part: number, onOver: () => void) => {
        stop = afterRunningTime(leftMs * part, onOver)
      }
      const isSilent = () => node.health !== 'unwatched' && (node.sighting?.answeredAtMs ?? 0) < sentAtMs
      let stop: () => void
      if (others === undefined) wait(1, () => giveUp(this.#timedOut(node)))
      else {
        wait(ASK_AFTER, () => {
          if (isSilent()) others.ask()
          wait(MOVE_AFTER - ASK_AFTER, () => {
            if (isSilent() && others.areThere()) giveUp(silent(node, leftMs * MOVE_AFTER))
            else wait(1 - MOVE_AFTER, () => giveUp(this.#timedOut(node)))
          })
        })
      }
      reading.then(resolve, reject).finally(() => stop())
    })
  }

  #timedOut({ name }: Node): WritePinningError {
    return new WritePinningError(
      'ERR_WRITE_PINNING_READ_TIMEOUT',
      `A read took longer than \`readTimeoutMs\` (${this.#timeoutMs} ms), at last on '${name}': it was given up, and its connection closed.`,
      { statusCode: 503 },
    )
  }
}

function silent({ name }: Node, waitedMs: number): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_NODE_UNAVAILABLE',
    `'${name}' gave no sign of life for ${Math.round(waitedMs)} ms: another node gets the read.`,
    { statusCode: 503 },
  )
}
