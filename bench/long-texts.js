/**
 * Families of long texts. Each text would take far too long for its length if some part of it were read again and
 * again. Each function gives a text of about that many characters.
 *
 * @type {Record<string, (length: number) => string>}
 */
export const FAMILIES = {
  'comments before a set': (length) => `${fill('/* x */ ', length)}set application_name = 'a'`,
  'line comments before a begin': (length) => `${fill('-- x\n', length)}begin`,
  'nested comments': (length) => `${fill('/*', length / 2)}${fill('*/', length / 2)} select 1`,
  'nested comments that are not closed': (length) => `select 1 ${fill('/* ', length)}`,
  'semicolons and blanks': (length) => `select 1${fill('; \n', length)}begin`,
  'many statements': (length) => fill('select 1; commit; ', length),
  'many statements, then one that is not closed': (length) => `${fill('begin; commit; ', length)}'`,
  'dollar quotes': (length) => `select ${fill('$a$ $b$ $a$, ', length)}1`,
  'dollar quotes that are not closed': (length) => `select ${dollars(length)}`,
  'a long tag of a dollar quote': (length) => {
    const tag = `$${fill('a', length / 4)}$`
    return `select ${tag}${fill(`${tag.slice(0, -2)}b$`, length / 2)}${tag}`
  },
  'dollar signs': (length) => `select ${fill('$', length)}`,
  'a long string': (length) => `select '${fill('x', length)}'`,
  'a string of doubled quotes': (length) => `select '${fill("''", length)}'`,
  'a string that is not closed': (length) => `select '${fill("''", length)}`,
  'strings with backslashes before their quotes': (length) => `select ${fill("'\\', ", length)} 1`,
  'a string of backslashes': (length) => `select '${fill('\\', length)}' , '\\'`,
  'escape strings, each on a line of its own': (length) => `select ${fill("E'\\''\n, ", length)} 1`,
  'blanks behind an escape string': (length) => `select E'x'${fill(' ', length)}`,
  'quoted names': (length) => `select ${fill('"a""b", ', length)} 1`,
  'a quoted name that is not closed': (length) => `select "${fill('""', length)}`,
  parentheses: (length) => `select ${fill('(', length / 2)}1${fill(')', length / 2)}`,
  'parentheses that are not closed': (length) => `select ${fill('f(', length)}`,
  'parentheses that were never opened': (length) => `select 1${fill(')', length)}`,
  'parentheses before a verb': (length) => `${fill('(', length)}select 1`,
  parameters: (length) => `select * from item where id in (${fill('$1,', length)}$2)`,
  'rows of an insert': (length) => `insert into item values ${fill("($1, 'x', default), ", length)}(1)`,
  'rows of a delete behind an insert': (length) => `insert into item values ${fill("(1, ';'), ", length)}(1)`,
  names: (length) => `select ${fill('a_name, ', length)} b from item`,
  'a name of many parts': (length) => `select ${fill('a.', length)}b`,
  'one long name': (length) => `select ${fill('Ab', length)} from item`,
  'one long name beyond ASCII': (length) => `select ${fill('Äb', length)} from item`,
  calls: (length) => `select ${fill('lower(a), ', length)} upper(b)`,
  'an operator of signs': (length) => `select 1 <${fill('+-', length)} 2`,
  operators: (length) => `select ${fill('1 <-> -', length)} 2`,
  digits: (length) => `select ${fill('1', length)}`,
  'digits with underscores': (length) => `select 0x${fill('f_', length)}f, ${fill('1_', length / 2)}1.5e5`,
  numbers: (length) => `select ${fill('1.5e5, ', length)} 2`,
  'common tables': (length) => `with ${fill('a as (select 1), ', length)}b as (select 2) select 1`,
  blanks: (length) => `${fill(' \n', length)}select 1${fill('\t', length)}`,
  'blanks behind create': (length) => `create ${fill(' ', length)} local ${fill(' ', length)} x`,
  'words behind rollback': (length) => `rollback ${fill('to and no chain ', length)}`,
  'statements within statements': (length) => fill('declare c cursor for ', length),
  'explained over and over': (length) => fill('explain analyze ', length),
  'the arguments of an execute': (length) => `execute p (${fill('lower(1), ', length)} 2)`,
  'names to forget': (length) => `deallocate ${fill('a ', length)}`,
  'nothing but a name that begins a transaction': (length) => `${fill('begin_ start1 ', length)}'`,
}

/**
 * @param {string} piece
 * @param {number} length
 */
function fill(piece, length) {
  return piece.repeat(Math.max(1, Math.floor(length / piece.length)))
}

/** @param {number} length */
function dollars(length) {
  let text = ''
  for (let tag = 0; text.length < length; tag++) text += `$t${tag}$ `
  return text
}
