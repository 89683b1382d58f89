/** The words with which statements begin. */

/** Those that read, unless something in them does more. */
export const READS: ReadonlySet<string> = new Set(['select', 'values', 'table', 'with', 'show'])

/** Those that have no effect at all where the server refuses them. */
export const CHANGES: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge'])

/** Those of them that have no effect where they affect no row. */
export const ROWLESS: ReadonlySet<string> = new Set(['update', 'delete', 'merge'])

/** Those with which a parenthesis of `explain` holds the statement instead of options. */
export const EXPLAINED: ReadonlySet<string> = new Set([...READS, ...CHANGES])

/** Those that are about the session, and may write or run what writes. */
export const ACTIVE: ReadonlySet<string> = new Set([
  'commit',
  'declare',
  'end',
  'execute',
  'fetch',
  'load',
  'move',
])

/** Those that are about the session or its transaction. */
export const SESSION_VERBS: ReadonlySet<string> = new Set(
  `
  abort begin checkpoint close commit deallocate declare discard end execute fetch listen load lock move notify
  prepare release reset rollback savepoint set start unlisten
`
    .trim()
    .split(/\s+/),
)
