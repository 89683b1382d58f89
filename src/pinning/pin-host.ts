import type { PinHost } from '../freshness/memory.ts'
import type { AccountStore } from './account-store.ts'
import { MAX_PINNING_SECONDS } from './pinning-seconds.ts'
import { believedPin, encodeToken, hasRightSignature, readToken, type TokenContext } from './token.ts'

/** What a plugin, or `runWithPin()`, lends to the contexts that it opens: it keeps the secrets to itself. */
export function pinHost(tokens: TokenContext, store: AccountStore | undefined): PinHost {
  // What an application hands on by itself may last longer than what a user agent may carry, signed or not.
  const handedOn = { ...tokens, pinningSeconds: MAX_PINNING_SECONDS }
  return {
    encode: (pin) => encodeToken(pin, tokens),
    read: (token) => {
      const claim = readToken(token)
      if (typeof claim === 'string') return claim
      return hasRightSignature(claim, tokens) ? believedPin(claim, handedOn) : 'bad-signature'
    },
    isSigned: tokens.keys.length > 0,
    withCookieName: (cookieName) => pinHost({ ...tokens, cookieName }, store),
    raiseAccount: store && ((account, pin) => store.raise(account, pin).answer),
  }
}
