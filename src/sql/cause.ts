/** Where the reading of something that hangs on others begins: a function that writes, a table that is elsewhere. */
export interface Cause {
  /** The function, as `schema.name`; undefined where it is none of the application's. */
  readonly function: string | undefined
  /** The policy that calls it, and its table; undefined where none does. */
  readonly policy?: string | undefined
  readonly table?: string | undefined
  /** Whether it may advance a sequence, or leave the server, which counts whatever that says. */
  readonly advances?: boolean
}

/** Nothing of the application's: it leaves the server, locks, or calls one of PostgreSQL's functions. */
export const NO_FUNCTION: Cause = { function: undefined }
