import { WritePinningError } from '../errors.ts'
import type { Node } from '../nodes/node.ts'
import { afterPatience } from '../nodes/patience.ts'
import type { Session } from '../nodes/session.ts'

/** Which part of what is left passes until a node that was not heard of is asked, and until another gets the read. */
const ASK_AFTER = 1 / 4
const MOVE_AFTER = 1 / 2

/** What a read can do where its node gives no sign of life; one that is bound to its node can do nothing. */
export interface OtherNodes {
  /** Has the node asked for a sign of life. */
  ask(): void
  /** Whether another node would serve it. */
  areThere(): boolean
}

/**
 * How long a read may take in all, whatever nodes it is tried on. A node that is alive has all of it; one that is not heard of,
 * neither by this read nor by its watcher, half of what is left.
 */
export class ReadBound {
  readonly #timeoutMs: number
  readonly #untilMs: number

  /** Begins now. */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
    this.#untilMs = performance.now() + timeoutMs
  }

  /**
   * Waits for a read on a session. Where it is given up, the connection is closed: the session is still busy, and would answer the
   * next query with this one's rows.
   *
   * @throws {WritePinningError} `ERR_WRITE_PINNING_READ_TIMEOUT` when the time is over, `ERR_WRITE_PINNING_NODE_UNAVAILABLE` where
   * another node is to have the rest of it.
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
        stop = afterPatience(leftMs * part, onOver)
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
