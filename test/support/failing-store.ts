import type { Pin } from 'write-pinning'
import { memoryPinStore, type PinStore } from 'write-pinning/stores'
import { withResolvers } from './with-resolvers.ts'

/** A store in memory that a test controls: it takes pins, refuses them, or does not answer. */
export class FailingStore implements PinStore {
  readonly #pins = memoryPinStore()
  mode: 'takes' | 'refuses' | 'hangs' = 'takes'
  readonly raised: string[] = []

  get(account: string) {
    return this.#pins.get(account)
  }

  raise(account: string, pin: Pin) {
    this.raised.push(account)
    if (this.mode === 'hangs') return withResolvers<never>().promise
    if (this.mode === 'refuses') return Promise.reject(new Error('redis://:password@host is down'))
    return this.#pins.raise(account, pin)
  }
}
