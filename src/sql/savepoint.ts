import { TokenList } from './token-list.ts'

/**
 * What a statement does with a savepoint, or with its whole transaction
 * (https://www.postgresql.org/docs/current/sql-savepoint.html, sql-release-savepoint.html, sql-rollback-to.html).
 */
export type SavepointWork =
  | { readonly does: 'sets' | 'releases' | 'rolls-back'; readonly name: string }
  | { readonly does: 'rolls-all-back' | 'commits' }

/**
 * Reads, in order, the statements of a text that concern savepoints or end the transaction. Undefined if they cannot
 * be read: the text is unreadable, or has the body of a function in it, with an `end` of its own.
 */
export function readSavepoints(sql: string): readonly SavepointWork[] | undefined {
  if (!MAY_TOUCH.test(sql)) return []
  const tokens = TokenList.of(sql)
  if (tokens === undefined || HAS_BODY.test(sql)) return undefined
  const works: SavepointWork[] = []
  while (!tokens.isAtEnd) {
    const work = readStatement(tokens)
    if (work !== undefined) works.push(work)
    while (!tokens.isAtStatementEnd) tokens.skip()
    tokens.take(';')
  }
  return works
}

const MAY_TOUCH = /\b(?:savepoint|release|rollback|abort|commit|end|prepare)\b/i
const HAS_BODY = /\bbegin\s+atomic\b/i

function readStatement(tokens: TokenList): SavepointWork | undefined {
  if (tokens.take('savepoint')) return named(tokens, 'sets')
  if (tokens.take('release')) return namedSavepoint(tokens, 'releases')
  if (tokens.take('commit') || tokens.take('end') || tokens.take('prepare', 'transaction')) {
    return tokens.isAtWord('prepared') ? undefined : { does: 'commits' }
  }
  if (!tokens.take('rollback') && !tokens.take('abort')) return undefined
  if (tokens.isAtWord('prepared')) return undefined
  if (!tokens.take('work')) tokens.take('transaction')
  return tokens.take('to') ? namedSavepoint(tokens, 'rolls-back') : { does: 'rolls-all-back' }
}

function namedSavepoint(tokens: TokenList, does: 'releases' | 'rolls-back'): SavepointWork | undefined {
  // A savepoint may be named `savepoint`.
  if (tokens.isAtWord('savepoint') && !tokens.isLastOfStatement) tokens.skip()
  return named(tokens, does)
}

function named(tokens: TokenList, does: 'sets' | 'releases' | 'rolls-back'): SavepointWork | undefined {
  const { current } = tokens
  return current === undefined ? undefined : { does, name: current.text }
}
