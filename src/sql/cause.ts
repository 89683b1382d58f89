/**
 * Why a function, relation or type does more than read: it is a function that writes, or a table on another server,
 * or depends on one. All objects that depend on that one, however indirectly, have the same cause.
 */
export interface Cause {
  /** The function, as `schema.name`; undefined if it is not the application's. */
  readonly function: string | undefined
  /** The policy that calls the function, and the policy's table; undefined if no policy does. */
  readonly policy?: string | undefined
  readonly table?: string | undefined
  /**
   * Whether it may advance a sequence or write on another server. If so, it counts as a write even if the server says
   * that nothing was written.
   */
  readonly advances?: boolean
}

/**
 * No function of the application is the cause, but a table on another server, a lock of rows, or a function of
 * PostgreSQL.
 */
export const NO_FUNCTION: Cause = { function: undefined }
