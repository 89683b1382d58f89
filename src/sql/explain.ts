import { type Lexer, TOKEN } from './lexer.ts'

/**
 * Reads the words behind `explain`, and leaves the lexer on the statement. True where the statement is run as well.
 */
export function readExplainWords(lexer: Lexer): boolean {
  let analyzes = false
  while (isAnalyze(lexer.text) || lexer.text === 'verbose') {
    if (isAnalyze(lexer.text)) analyzes = true
    lexer.next()
  }
  return analyzes
}

/**
 * The same for options in parentheses, from the first of them on. Whatever value `analyze` is given: `analyze false` is
 * rare, and the primary explains it as well.
 */
export function readExplainOptions(lexer: Lexer): boolean {
  let analyzes = false
  while (lexer.kind !== TOKEN.end && lexer.kind !== TOKEN.unreadable && !lexer.isAt(')')) {
    if (isAnalyze(lexer.text)) analyzes = true
    lexer.next()
  }
  if (lexer.isAt(')')) lexer.next()
  return analyzes
}

function isAnalyze(word: string): boolean {
  return word === 'analyze' || word === 'analyse'
}
