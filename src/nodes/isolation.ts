/**
 * A hot standby refuses every statement of a serializable transaction, so a session that is serializable by default is of no use there:
 * repeatable read is the most that it has
 * (https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-CAVEATS). A space within an option has a backslash before it.
 */
export const REPEATABLE_READ = '-c default_transaction_isolation=repeatable\\ read'

/** Whether start-up options make the transactions of a session serializable; the last of several counts. */
export function saysSerializable(options: string): boolean {
  let isolation = ''
  for (const [, value = ''] of options.matchAll(ISOLATION)) isolation = value
  return isolation.toLowerCase() === 'serializable'
}

const ISOLATION = /default[_-]transaction[_-]isolation=(\w*)/gi
