/**
 * Why something does more than read: a function that writes, or a table that is on another server. What depends on
 * it, however indirectly, has the same cause.
 */
export interface Cause {
  /** The function, as `schema.name`; undefined if it is not the application's. */
  readonly function: string | undefined
  /** The policy that calls it, and the policy's table; undefined if no policy does. */
  readonly policy?: string | undefined
  readonly table?: string | undefined
  /**
   * Whether it may advance a sequence or leave the server. If so, it counts as a write even if the server says that
   * nothing was written.
   */
  readonly advances?: boolean
}

/** No function of the application: something leaves the server, locks rows, or calls a function of PostgreSQL. */
export const NO_FUNCTION: Cause = { function: undefined }
