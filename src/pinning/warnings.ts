import { debuglog } from 'node:util'
import { warn } from '../diagnostics.ts'

/** A log, as frameworks have one. */
export interface Log {
  warn(message: string): void
  debug(message: string): void
}

const debug = debuglog('write-pinning')

/**
 * The log of a framework that has none. Warnings become process warnings; the rest goes to
 * `NODE_DEBUG=write-pinning`.
 */
export const processLog: Log = {
  warn: (message) => warn('WRITE_PINNING_RESPONSE', message),
  debug: (message) => debug(message),
}

/** Warns once for each `key`, which `warned` remembers. With `processLog`, the process warning has this `code`. */
export function warnOnce(warned: Set<unknown>, key: unknown, log: Log, message: string, code?: string): void {
  if (warned.has(key) || warned.size === MAX_WARNED) return
  warned.add(key)
  tell(() => (log === processLog && code !== undefined ? warn(code, message) : log.warn(message)))
}

/** Calls a log. A log that fails must not fail a request, which may have written. */
export function tell(say: () => void): void {
  try {
    say()
  } catch {}
}

/** Cap: only an application that keeps creating routes reaches it. */
const MAX_WARNED = 1_000

/** The warning for two edges with different options. */
export const MADE_TWICE_TEXT =
  'One request comes through two of writePinning(), and they have different options: those of the first count. ' +
  'Give both the same, or make one, and use that one again where it must stand twice.'

/** The warning for a pin in doubt. It may be an honest one, but that cannot be checked. */
export const PIN_IN_DOUBT_TEXT =
  'A pin came whose signature is missing or wrong, so the reads of that request go to the primary. That is expected while a ' +
  'deployment adds or changes `secret`: keep the old secret in it, as in `secret: [new, old]`, until `pinningSeconds` after ' +
  'the last process has ended that signs with the old one; docs/pins.md has the steps. Where it goes on, another application on ' +
  'that host has a secret of its own, something else sets that cookie or header, or it is forged; ' +
  "with `badSignature: 'ignore'` such pins have no effect."

/** What follows if the function of an option gives no answer, and what to do. */
export const NO_ANSWER_TEXTS = {
  account:
    ", so this request has no account, and only its cookie is pinned. Give undefined where it is nobody's; on Express, use the middleware " +
    'once more behind authentication: `app.use(pinning, authentication, pinning)`',
  affinity: ', so this request reads from any replica. Give undefined where it has no key',
}

/** The warning for a response that could not carry its pin. */
export function failureText(error: unknown): string {
  return (
    `A response that had to carry a pin carries none, because that failed: ${error instanceof Error ? error.message : String(error)}. ` +
    'Its user may miss what was written.'
  )
}
