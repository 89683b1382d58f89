import type { WritePinningError } from '../errors.ts'

/**
 * Makes reading `property` of `target` an error. A framework reads some properties of what it is handed, so this is the
 * earliest moment to say that it was handed the wrong thing.
 */
export function throwWhenRead(target: object, property: PropertyKey, error: () => WritePinningError): void {
  Object.defineProperty(target, property, {
    get() {
      throw error()
    },
    configurable: true,
  })
}
