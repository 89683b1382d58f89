import { type IgnoredPinReason, warn } from '../diagnostics.ts'
import { currentContext, openRequestContext, runInContext } from '../freshness/context.ts'
import { closeMemory, createMemory, type PinCodec, type RequestMemory } from '../freshness/memory.ts'
import type { Pin } from '../freshness/pin.ts'
import { keepInScope } from '../freshness/scope-result.ts'
import { isString, OptionReader, wrongOption } from '../options.ts'
import { accountStoreOf } from './account-store.ts'
import { DEFAULT_COOKIE_NAME } from './cookie-names.ts'
import { type PinStore, pinStoreOption } from './pin-store.ts'
import { MAX_PINNING_SECONDS, pinningSeconds } from './pinning-seconds.ts'
import { secretsOption, signingKeys } from './signer.ts'
import { pinCodec } from './token.ts'

/** The options of {@link runWithPin}. */
export interface RunWithPinOptions {
  /**
   * The `secret` of the plugin that signed the token. Default: that of the request in which this is called. Outside
   * any request, no signature is checked, and `capturePin()` does not sign.
   */
  secret?: string | readonly string[] | undefined
  /**
   * The plugin's `cookie.name`, if it was given one: the signature covers it. Default: `'write_pin'`; without a
   * `secret` here, the name in the request in which this is called.
   */
  cookieName?: string
  /**
   * How long reads are fresh after a write, in seconds: a whole number from 1 to 86,400 (a day). Default: the
   * environment variable `PINNING_SECONDS`, else 15.
   */
  pinningSeconds?: number
  /** What `capturePin()` gives for the writes of `fn`. Default: `'exact'` if the token is exact, else `'time'`. */
  pin?: 'time' | 'exact'
  /** Where `pinAccount()` raises the pins of accounts. Default: the store of the request in which this is called. */
  pinStore?: PinStore
}

/**
 * Runs `fn` in a context of its own, as if it were a request, and gives its result. Its reads are as fresh as the
 * token demands, and they see its own writes. Use it for jobs, messages of a WebSocket, and events.
 *
 * - A token that is undefined or over demands nothing.
 * - A token that cannot be read, or whose signature is wrong, sends the reads to the primary for `pinningSeconds`.
 *
 * The writes of `fn` pin nobody else. `capturePin()` inside `fn` gives the token for them.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for a wrong option.
 * @example
 * new Worker('invoice', (job) => runWithPin(job.data.pin, () => makeInvoice(job.data.orderId)), { connection })
 */
export function runWithPin<T>(token: string | undefined, fn: () => T, options: RunWithPinOptions = {}): T {
  if (typeof fn !== 'function') {
    throw wrongOption(`${WHERE} takes a token, and the function to run.`)
  }
  const { codec, pinningMs, pin } = settingsOf(options)
  const carried = carriedBy(token, codec, pinningMs)
  const wantsPositions = (pin ?? carried?.kind) === 'exact'
  const memory = createMemory(pinningMs, carried, false, { wantsPositions, wantsSeen: false, codec })
  const context = openRequestContext(memory)
  let result: T
  try {
    result = keepInScope('runWithPin', context, runInContext(context, fn))
  } catch (error) {
    closeMemory(memory)
    throw error
  }
  return closedAfter(memory, result)
}

const WHERE = 'runWithPin()'
const KNOWN = ['secret', 'cookieName', 'pinningSeconds', 'pin', 'pinStore'] as const

function settingsOf(options: RunWithPinOptions) {
  const read = new OptionReader<RunWithPinOptions>(WHERE, options, KNOWN)
  return {
    codec: codecOf(read),
    pinningMs: pinningSeconds(read) * 1000,
    // An empty text counts as not given.
    pin: read.given.pin ? read.oneOf('pin', ['time', 'exact'], 'time') : undefined,
  }
}

/**
 * How tokens are read and written, and where accounts are pinned: by the options, else as in the request in which
 * this is called.
 */
function codecOf(read: OptionReader<RunWithPinOptions>): PinCodec {
  const cookieName = read.value('cookieName', undefined, isString, 'a name')
  const pinStore = pinStoreOption(read)
  const keys = signingKeys(secretsOption(read))
  const outer = currentContext()?.memory?.codec
  const own = pinCodec(
    { cookieName: cookieName ?? DEFAULT_COOKIE_NAME, keys, pinningSeconds: MAX_PINNING_SECONDS },
    pinStore && accountStoreOf(pinStore),
  )
  const ofOuter = cookieName === undefined ? outer : outer?.withCookieName(cookieName)
  const ofTokens = 'secret' in read.given ? own : (ofOuter ?? own)
  return { ...ofTokens, raiseAccount: own.raiseAccount ?? outer?.raiseAccount }
}

function carriedBy(token: string | undefined, codec: PinCodec, pinningMs: number): Pin | undefined {
  if (token === undefined || token === null) return undefined
  const read = typeof token === 'string' ? codec.read(token) : 'malformed'
  if (typeof read !== 'string') return read
  if (read === 'expired') return undefined
  warnOfToken((token as unknown) instanceof Promise ? 'promise' : read)
  return { kind: 'time', untilMs: Date.now() + pinningMs }
}

function warnOfToken(reason: IgnoredPinReason | 'promise'): void {
  if (warned.has(reason)) return
  warned.add(reason)
  warn(
    'WRITE_PINNING_BAD_TOKEN',
    reason === 'promise'
      ? `${WHERE} was given a promise of a token: its reads go to the primary. Write \`await capturePin()\`.`
      : `${WHERE} was given a token that is worth nothing (${reason}): its reads go to the primary. Is the secret the same?`,
  )
}

const warned = new Set<IgnoredPinReason | 'promise'>()

/**
 * Closes the memory when `fn` ends. Work that continues in the context after that reads its own writes for as long as
 * a pin lasts.
 */
function closedAfter<T>(memory: RequestMemory, result: T): T {
  const close = () => closeMemory(memory)
  if (result instanceof Promise) result.then(close, close)
  else close()
  return result
}
