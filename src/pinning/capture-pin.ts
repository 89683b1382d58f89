import { currentContext } from '../freshness/context.ts'
import { settlePositions } from '../freshness/written-positions.ts'
import { OptionReader } from '../options.ts'
import { pinOfContext } from './outgoing-pin.ts'
import { MAX_PINNING_SECONDS, SECONDS } from './pinning-seconds.ts'
import { pinHost } from './token.ts'

/** The options of {@link capturePin}. */
export interface CapturePinOptions {
  /** How long the token lasts from now on, in seconds. Default: what it holds lasts as long as it would in a cookie. */
  seconds?: number
}

/**
 * Gives the current context's token, for `runWithPin()` in a job, or for a client that sends it back in the plugin's `header`:
 * what this request has written, and what it had brought. Gives undefined where there is nothing, or no context. It is
 * signed with the `secret` of the plugin that opened the context.
 *
 * It is worth what it says wherever its signature is verified, for a day at most. A plugin without a `secret` believes it for no longer than its
 * own `pinningSeconds`; `runWithPin()` believes it without one, too.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for a wrong option.
 * @example
 * await queue.add('invoice', { orderId, pin: await capturePin({ seconds: 3_600 }) })
 */
export async function capturePin(options: CapturePinOptions = {}): Promise<string | undefined> {
  const read = new OptionReader<CapturePinOptions>('capturePin()', options, ['seconds'])
  const seconds = read.number('seconds', undefined, SECONDS)
  const memory = currentContext()?.memory
  if (memory === undefined) return undefined
  await settlePositions(memory)
  const pin = pinOfContext(memory, seconds)
  return pin && (memory.host ?? UNSIGNED).encode(pin)
}

const UNSIGNED = pinHost({ cookieName: '', keys: [], pinningSeconds: MAX_PINNING_SECONDS }, undefined)
