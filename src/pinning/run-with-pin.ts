import { type IgnoredPinReason, warn } from '../diagnostics.ts'
import { currentContext, openRequestContext, runInContext } from '../freshness/context.ts'
import { closeMemory, createMemory, type PinHost, type RequestMemory } from '../freshness/memory.ts'
import type { Pin } from '../freshness/pin.ts'
import { keepInScope } from '../freshness/scope-result.ts'
import { isString, OptionReader, wrongOption } from '../options.ts'
import { accountStoreOf } from './account-store.ts'
import { DEFAULT_COOKIE_NAME } from './cookie-names.ts'
import { type PinStore, pinStoreOption } from './pin-store.ts'
import { MAX_PINNING_SECONDS, pinningSeconds } from './pinning-seconds.ts'
import { secretsOption, signingKeys } from './signer.ts'
import { pinHost } from './token.ts'

/** The options of {@link runWithPin}. */
export interface RunWithPinOptions {
  /**
   * The `secret` of the plugin that signed the token. Default: that of the request in which it is called; outside any, no
   * signature is asked for, and `capturePin()` does not sign.
   */
  secret?: string | readonly string[] | undefined
  /**
   * The plugin's `cookie.name`, where one was given: the signature covers it. Default: `'write_pin'`, and without a `secret` here, that of the
   * request in which it is called.
   */
  cookieName?: string
  /** How long reads are fresh after a write, in seconds. Default: the environment variable `PINNING_SECONDS`, else 15. */
  pinningSeconds?: number
  /** What `capturePin()` gives for writes of `fn`. Default: `'exact'` where the token is, else `'time'`. */
  pin?: 'time' | 'exact'
  /** Where `pinAccount()` raises the pins of accounts. */
  pinStore?: PinStore
}

/**
 * Runs `fn` as a request of its own and gives its result: its reads are as fresh as the token demands, and fresh after its
 * own writes. For jobs, messages of a WebSocket, and events. A token that is undefined or over demands nothing; one that
 * cannot be read, or whose signature is wrong, sends the reads to the primary for `pinningSeconds`.
 *
 * What `fn` writes pins nobody else: `capturePin()` inside of it gives the token.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_OPTION` for a wrong option.
 * @example
 * worker.process('invoice', (job) => runWithPin(job.data.pin, () => makeInvoice(job.data.orderId)))
 */
export function runWithPin<T>(token: string | undefined, fn: () => T, options: RunWithPinOptions = {}): T {
  if (typeof fn !== 'function') {
    throw wrongOption(`${WHERE} takes a token, and the function to run.`)
  }
  const { host, pinningMs, pin } = settingsOf(options)
  const carried = carriedBy(token, host, pinningMs)
  const wantsPositions = (pin ?? carried?.kind) === 'exact'
  const memory = createMemory(pinningMs, carried, false, { wantsPositions, wantsSeen: false, host })
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
    host: hostOf(read),
    pinningMs: pinningSeconds(read) * 1000,
    // An empty one says no more than none.
    pin: read.given.pin ? read.oneOf('pin', ['time', 'exact'], 'time') : undefined,
  }
}

/** What it is told of tokens and of the store; the rest is that of the request in which it is called. */
function hostOf(read: OptionReader<RunWithPinOptions>): PinHost {
  const cookieName = read.value('cookieName', undefined, isString, 'a name')
  const pinStore = pinStoreOption(read)
  const keys = signingKeys(secretsOption(read))
  const outer = currentContext()?.memory?.host
  const own = pinHost(
    { cookieName: cookieName ?? DEFAULT_COOKIE_NAME, keys, pinningSeconds: MAX_PINNING_SECONDS },
    pinStore && accountStoreOf(pinStore),
  )
  const ofOuter = cookieName === undefined ? outer : outer?.withCookieName(cookieName)
  const ofTokens = 'secret' in read.given ? own : (ofOuter ?? own)
  return { ...ofTokens, raiseAccount: own.raiseAccount ?? outer?.raiseAccount }
}

function carriedBy(token: string | undefined, host: PinHost, pinningMs: number): Pin | undefined {
  if (token === undefined || token === null) return undefined
  const read = typeof token === 'string' ? host.read(token) : 'malformed'
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

/** From its end on, what goes on in the context is bound by its own writes as long as a pin lasts. */
function closedAfter<T>(memory: RequestMemory, result: T): T {
  const close = () => closeMemory(memory)
  if (result instanceof Promise) result.then(close, close)
  else close()
  return result
}
