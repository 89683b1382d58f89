import { currentContext } from '../freshness/context.ts'
import { settlePositions } from '../freshness/written-positions.ts'
import { OptionReader } from '../options.ts'
import { pinOfContext } from './outgoing-pin.ts'
import { MAX_PINNING_SECONDS, SECONDS } from './pinning-seconds.ts'
import { pinCodec } from './token.ts'

/** The options of {@link capturePin}. */
export interface CapturePinOptions {
  /**
   * How long the token lasts from now on, in seconds: a whole number from 1 to 86,400 (a day). Default: as long as
   * the pin would last in a cookie.
   */
  seconds?: number
}

/**
 * Gives the pin of the current context as a token, for `runWithPin()` in a job, or for a client that sends it back in
 * the plugin's `header`.
 *
 * The pin holds what the request has written and what it brought, and with `monotonicReads` what it has read. With
 * exact pins, this waits 250 ms at most for the positions of the writes. Gives undefined outside any context, and if
 * the context has no pin. The token is signed with the `secret` of the plugin that opened the context.
 *
 * A process that verifies the signature honours the token in full, for a day at most. A plugin without a `secret`
 * honours it for its own `pinningSeconds` at most. `runWithPin()` honours it in full without a `secret`, too.
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
  return pin && (memory.codec ?? UNSIGNED).encode(pin)
}

const UNSIGNED = pinCodec({ cookieName: '', keys: [], pinningSeconds: MAX_PINNING_SECONDS }, undefined)
