/** The codes of all errors that this package throws by itself. A code never changes. */
export type WritePinningErrorCode =
  | 'ERR_WRITE_PINNING_OPTION'
  | 'ERR_WRITE_PINNING_UNKNOWN_OPTION'
  | 'ERR_WRITE_PINNING_ALREADY_REGISTERED'
  | 'ERR_WRITE_PINNING_NODE'
  | 'ERR_WRITE_PINNING_UNKNOWN_NODE'
  | 'ERR_WRITE_PINNING_WRITE_ON_REPLICA'
  | 'ERR_WRITE_PINNING_ONLY_ON_PRIMARY'
  | 'ERR_WRITE_PINNING_NOT_EXECUTED'
  | 'ERR_WRITE_PINNING_NO_REPLICA'
  | 'ERR_WRITE_PINNING_NOT_OPEN'
  | 'ERR_WRITE_PINNING_NODE_UNAVAILABLE'
  | 'ERR_WRITE_PINNING_READ_TIMEOUT'
  | 'ERR_WRITE_PINNING_UNKNOWN_OUTCOME'
  | 'ERR_WRITE_PINNING_CREDENTIALS'
  | 'ERR_WRITE_PINNING_PIN_STORE'
  | 'ERR_WRITE_PINNING_MISSING_PACKAGE'
  | 'ERR_WRITE_PINNING_TEST_CLUSTER'

/**
 * An error of this package's own. Match it by its `code`, which never changes, and not by its message.
 *
 * @example
 * try {
 *   await app.register(writePinning, { pinningSeconds: 0 })
 * } catch (error) {
 *   if (error instanceof WritePinningError) console.error(error.code, error.message)
 * }
 */
export class WritePinningError extends Error {
  override readonly name = 'WritePinningError'
  readonly code: WritePinningErrorCode
  /** The HTTP status that fits the error, if one does. Fastify and Express answer with it. */
  declare readonly statusCode?: number

  constructor(
    code: WritePinningErrorCode,
    message: string,
    { statusCode, ...options }: ErrorOptions & { readonly statusCode?: number } = {},
  ) {
    super(message, options)
    this.code = code
    if (statusCode !== undefined) this.statusCode = statusCode
  }
}

// An error of another copy of this package counts too: `require()` and `import` in one process make two copies.
const BRAND = Symbol.for('write-pinning.error')
Object.defineProperty(WritePinningError.prototype, BRAND, { value: true })
Object.defineProperty(WritePinningError, Symbol.hasInstance, {
  value(this: unknown, error: unknown): boolean {
    if (this !== WritePinningError) return Function.prototype[Symbol.hasInstance].call(this, error)
    return typeof error === 'object' && error !== null && BRAND in error
  },
})
