import { TokenList } from './token-list.ts'

/** What a statement does with a savepoint (https://www.postgresql.org/docs/current/sql-savepoint.html, sql-rollback-to.html). */
export interface SavepointWork {
  readonly does: 'sets' | 'rolls-back'
  /** Undefined for all of the transaction, where another is chained to it. */
  readonly name: string | undefined
}

/** Reads a single statement about its transaction; undefined where it rolls nothing back, and sets nothing that one may roll back to. */
export function readSavepoint(sql: string): SavepointWork | undefined {
  const tokens = TokenList.of(sql)
  if (tokens === undefined) return undefined
  if (tokens.take('savepoint')) return named(tokens, 'sets')
  if (!tokens.take('rollback') && !tokens.take('abort')) return undefined
  if (!tokens.take('work')) tokens.take('transaction')
  if (tokens.take('and', 'chain')) return { does: 'rolls-back', name: undefined }
  if (!tokens.take('to')) return undefined
  // A savepoint may be called `savepoint`.
  if (tokens.isAtWord('savepoint') && !tokens.isLast) tokens.skip()
  return named(tokens, 'rolls-back')
}

function named(tokens: TokenList, does: SavepointWork['does']): SavepointWork | undefined {
  const { current } = tokens
  return current === undefined ? undefined : { does, name: current.text }
}
