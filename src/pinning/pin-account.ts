import { WritePinningError } from '../errors.ts'
import { currentContext } from '../freshness/context.ts'
import type { Pin } from '../freshness/pin.ts'
import { settlePositions } from '../freshness/written-positions.ts'
import { OptionReader, optionError, wrongOption } from '../options.ts'
import { withinMs } from '../waiting.ts'
import { accountStoreOf } from './account-store.ts'
import { pinOfWrites } from './outgoing-pin.ts'
import { type PinStore, pinStoreOption } from './pin-store.ts'
import { pinningSeconds } from './pinning-seconds.ts'

/** The options of {@link pinAccount}. */
export interface PinAccountOptions {
  /**
   * How long the pin lasts, in seconds: a whole number from 1 to 86,400 (a day). Default: as the pins of the request
   * in which this is called, else `PINNING_SECONDS`, else 15.
   */
  pinningSeconds?: number
  /**
   * The store in which the pin is raised. Default: the `pinStore` of the plugin, or of `runWithPin()`, in whose
   * context this is called.
   */
  pinStore?: PinStore
}

/** How long the store may take, in ms. */
const STORE_MS = 5_000

/**
 * Pins an account from outside its own requests, such as in a webhook or a job. The users of that account then see on
 * every device what was written here. The pin holds the positions of this context's writes if they are known.
 * Otherwise it is a time pin.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for a wrong option, or if there is no store.
 * `ERR_WRITE_PINNING_PIN_STORE` if the store does not answer within 5 s. If the store itself rejects, this rejects
 * with the same error. After a failure of the store the account may not be pinned; the pin is tried again until the
 * store takes it, or the pin is over.
 * @example
 * app.post('/webhooks/payment', async (request) => {
 *   const order = await markAsPaid(request.body)
 *   await pinAccount(order.userId)
 * })
 *
 */
export async function pinAccount(account: string, options: PinAccountOptions = {}): Promise<void> {
  const read = new OptionReader<PinAccountOptions>(WHERE, options, ['pinningSeconds', 'pinStore'])
  if (typeof account !== 'string' || account === '')
    throw optionError(WHERE, 'account', account, "an account's id")
  const memory = currentContext()?.memory
  const raise = raiseIn(pinStoreOption(read)) ?? memory?.codec?.raiseAccount
  if (raise === undefined) {
    throw wrongOption(
      `${WHERE}: there is no \`pinStore\`: give it in the options, or to the plugin or runWithPin() around it.`,
    )
  }
  if (memory !== undefined) await settlePositions(memory)
  const ofMemory = read.given.pinningSeconds === undefined ? memory?.pinningMs : undefined
  const pinningMs = ofMemory ?? pinningSeconds(read) * 1000
  const untilMs = Date.now() + pinningMs
  const pin = (memory && pinOfWrites(memory, untilMs, true)) ?? { kind: 'time' as const, untilMs }
  if (await withinMs(STORE_MS, raise(account, pin))) return
  throw new WritePinningError(
    'ERR_WRITE_PINNING_PIN_STORE',
    `${WHERE}: the pin store did not answer within ${STORE_MS} ms, so the account may not be pinned. It is tried again until the pin is over.`,
  )
}

const WHERE = 'pinAccount()'

function raiseIn(store: PinStore | undefined) {
  return store && ((account: string, pin: Pin) => accountStoreOf(store).raise(account, pin).answer)
}
