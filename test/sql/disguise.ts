import type { Random } from './random.ts'

/** Writes tokens as one text, with any white space, comments and cases that leave its meaning alone. */
export function disguise(tokens: readonly string[], random: Random, wildness: number): string {
  let text = random.chance(wildness / 3) ? gap(random, wildness) : ''
  let previous = ''
  for (const token of tokens) {
    const isFree = previous === '' || canTouch(previous, token)
    if (!isFree || !random.chance(0.6)) text += gap(random, wildness)
    text += WORD.test(token) && random.chance(wildness) ? mixCase(token, random) : token
    previous = token
  }
  return random.chance(wildness / 3) ? text + gap(random, wildness) : text
}

function canTouch(previous: string, token: string): boolean {
  if (BRACKETS.has(previous) || BRACKETS.has(token)) return true
  // A sign needs no space, unless it would begin a comment or lengthen an operator.
  return (previous === '+' || previous === '=') && /^[\w"'$(]/.test(token)
}

function gap(random: Random, wildness: number): string {
  if (!random.chance(wildness)) return ' '
  return random.pick(GAPS)
}

function mixCase(word: string, random: Random): string {
  return random.chance(0.5)
    ? word.toUpperCase()
    : word.replace(/[a-z]/g, (letter) => (random.chance(0.5) ? letter.toUpperCase() : letter))
}

const WORD = /^[a-z_]+$/
const BRACKETS = new Set(['(', ')', '[', ']', ',', ';'])
const GAPS = [
  ' ',
  '  ',
  '\n',
  '\r\n',
  '\t',
  '\f',
  '\v',
  ' -- a comment\n',
  ' -- it\'s "one" $$ /* ;\n',
  '--\r',
  '/**/',
  '/* ; */',
  "/* ' */",
  '/* " $$ -- */',
  '/* one /* within */ another */',
  '/*/* */*/',
  '/***/',
  '/* for update */',
  '/* /*/ */ */ */',
  ' /* -- */ ',
]
