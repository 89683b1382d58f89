import { disguise } from './disguise.ts'
import type { Random } from './random.ts'

/** Garbles a statement: tokens are lost, doubled or swapped, and characters that begin or end something slip in. */
export function mutate(tokens: readonly string[], random: Random): string {
  const garbled = [...tokens]
  for (let count = random.below(3); count >= 0; count--) {
    const at = random.below(garbled.length)
    const other = random.below(garbled.length)
    const token = garbled[at] ?? ''
    random.pick([
      () => garbled.splice(at, 1),
      () => garbled.splice(at, 0, token),
      () => garbled.splice(other, 1, token),
      () => garbled.splice(at, 2, garbled[at + 1] ?? '', token),
      () => garbled.splice(at, 0, random.pick(INTRUDERS)),
    ])()
  }
  const sql = disguise(garbled, random, 0.1)
  if (random.chance(0.5)) return sql
  const at = random.below(sql.length + 1)
  return sql.slice(0, at) + random.pick(CHARACTERS) + sql.slice(at + random.below(2))
}

const INTRUDERS = [
  'nextval',
  '(',
  ')',
  'as',
  'with',
  'select',
  'distinct',
  'on',
  'operator',
  ';',
  'for update',
  'into x',
  '.',
  ',',
  '"',
]
const CHARACTERS = [
  "'",
  '"',
  '$',
  '$$',
  '$a$',
  '/*',
  '*/',
  '--',
  '\n',
  '\\',
  ';',
  '(',
  ')',
  '.',
  'e',
  'E',
  'U&',
  '::',
  ' ',
  '\0',
  '\ud800',
  '€',
  '&',
  ':',
  '0x',
  '1',
]
