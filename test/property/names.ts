/** A name as SQL writes it: quoted. */
export function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** The same name by its code points, which is another way to write it. */
export function byCodePoints(name: string): string {
  const escaped = [...name].map((character) =>
    /[a-z0-9_]/i.test(character) && character !== 'e'
      ? character
      : `\\+${character.codePointAt(0)?.toString(16).padStart(6, '0')}`,
  )
  return `U&"${escaped.join('')}"`
}

/** Names of tables, as Prisma and people make them: key words, capitals, quotes, and what is no ASCII. */
export const TABLE_NAMES: readonly string[] = [
  ...[
    't',
    'order',
    'group',
    'limit',
    'Order',
    'Group',
    'User',
    'user',
    'select',
    'from',
    'into',
    'update',
    'set',
  ],
  ...[
    'values',
    'table',
    'with',
    'for',
    'case',
    'when',
    'then',
    'end',
    'as',
    'on',
    'using',
    'and',
    'not',
    'null',
  ],
  ...['left', 'join', 'union', 'window', 'offset', 'fetch', 'distinct', 'having', 'where', 'lateral', 'only'],
  ...[
    'a b',
    'a.b',
    'a"b',
    "it's",
    'a;b',
    'a--b',
    '/*',
    '$1',
    '$$',
    ' ',
    'größe',
    'таблица',
    '表',
    '🐘',
    'İ',
    'ſet',
  ],
  ...[
    'Item',
    'ORDER',
    'item_',
    '_item',
    'i1',
    'tbl$1',
    'nextval',
    'now',
    'random',
    'session',
    'lock',
    'notify',
  ],
  ...[
    'copy',
    'explain',
    'int',
    'text',
    'date',
    'time',
    'interval',
    'row',
    'array',
    'exists',
    'in',
    'is',
    'like',
  ],
]

/** Names of functions: those, and what the grammar calls its own. */
export const FUNCTION_NAMES: readonly string[] = [
  ...[
    'w',
    'touch',
    'log_it',
    'Audit',
    'audit trail',
    'update',
    'delete',
    'insert',
    'select',
    'order',
    'title',
    'name',
  ],
  ...['value', 'total', 'größe', 'функция', 'x.y', "it's", 'q"q', 'F'],
  ...['count_it', 'next', 'currval_of', 'set_it', 'values', 'lock', 'notify', 'copy', 'a$b', '_f', 'sum_of'],
]

/**
 * What some functions of the server are called: a call without a schema may be one of either. They are rare: the texts of the tester are full
 * of the server's own.
 */
export const SERVER_NAMES: readonly string[] = ['left', 'right', 'repeat', 'replace', 'lower', 'length']
