import type { Random } from './random.ts'

/** The functions that the generated statements call, and that no replica may run. */
export const VOLATILE_CALLS: ReadonlySet<string> = new Set([
  'nextval',
  'setval',
  'pg_notify',
  'txid_current',
  'pg_advisory_lock',
  'set_config',
  'dblink_exec',
  'pg_terminate_backend',
  'log_access',
  'Log Access',
  'refresh',
  '.',
  'as',
  'naïve',
])

/** Makes statements, as lists of tokens. What writes, locks or is volatile comes with `harm`, its probability per place. */
export class Statements {
  readonly #random: Random
  readonly #harm: number

  constructor(random: Random, harm: number) {
    this.#random = random
    this.#harm = harm
  }

  statement(): string[] {
    const first = this.#one()
    if (this.#harms(0.3)) return [...first, ';', ...this.#one()]
    return [...first, ...this.#pick([[], [], [], [';'], [';', ';']])]
  }

  #one(): string[] {
    const random = this.#random
    if (this.#harms(0.5)) return this.#change(2)
    if (random.chance(0.06)) return this.#explain()
    if (random.chance(0.02)) return words(this.#pick(['show all', 'show search_path', 'show time zone']))
    return this.#query(random.pick([1, 1, 2]))
  }

  #explain(): string[] {
    const options = this.#pick([
      'explain',
      'explain verbose',
      'explain ( costs off )',
      'explain ( verbose , format json )',
      'explain analyze',
      'explain analyze verbose',
      'explain ( analyze )',
      'explain ( costs off , analyze true , timing 0 )',
      'explain ( "analyze" )',
    ])
    const parenthesized = this.#random.chance(0.2) ? ['(', ...this.#query(1), ')'] : this.#one0()
    return [...words(options), ...parenthesized]
  }

  #one0(): string[] {
    return this.#random.chance(0.3) ? this.#change(1) : this.#query(2)
  }

  #change(depth: number): string[] {
    const table = words(this.#pick(['t', 'public.t', '"T"', '"public" . "into"']))
    const where = ['where', ...this.#expression(depth)]
    return this.#pick([
      () => [...words('insert into'), ...table, ...this.#query(depth)],
      () => [
        ...words('insert into'),
        ...table,
        '(',
        'a',
        ',',
        'b',
        ')',
        'values',
        '(',
        '1',
        ',',
        ...this.#expression(depth),
        ')',
      ],
      () => [
        ...words('insert into'),
        ...table,
        ...words('default values returning'),
        ...this.#expression(depth),
      ],
      () => [
        ...words('insert into'),
        ...table,
        ...words('values ( 1 ) on conflict ( id ) do update set a ='),
        ...this.#expression(depth),
      ],
      () => ['update', ...table, 'set', 'a', '=', ...this.#expression(depth), ...where],
      () => ['update', 'only', '(', ...table, ')', 'set', 'a', '=', '1'],
      () => [...words('delete from'), ...table, ...where],
      () => [...words('merge into'), ...table, ...words('using x on true when matched then delete')],
      () => [
        ...words('merge into'),
        ...table,
        ...words(
          'using x on true when matched then update set a = 1 when not matched then insert ( a ) values ( 1 )',
        ),
      ],
    ])()
  }

  #query(depth: number): string[] {
    const random = this.#random
    const withs = depth > 0 && random.chance(0.25) ? this.#with(depth - 1) : []
    if (withs.length > 0 && this.#harms(0.4)) return [...withs, ...this.#change(depth - 1)]
    let body = this.#simple(depth)
    while (depth > 0 && random.chance(0.12)) {
      const operator = words(
        this.#pick(['union', 'union all', 'intersect', 'except', 'except all', 'union distinct']),
      )
      body = [
        ...body,
        ...operator,
        ...(random.chance(0.4) ? ['(', ...this.#query(depth - 1), ')'] : this.#simple(depth - 1)),
      ]
    }
    const tail = [...this.#tail(depth - 1), ...this.#locking()]
    const all = [...withs, ...body, ...tail]
    return random.chance(0.08) ? ['(', ...all, ')'] : all
  }

  #with(depth: number): string[] {
    const tokens = words(this.#pick(['with', 'with', 'with recursive']))
    const count = 1 + this.#random.below(2)
    for (let index = 0; index < count; index++) {
      if (index > 0) tokens.push(',')
      tokens.push(this.#pick(['a', 'values', 'w1', '"w"', '"as"', 'data', 'nextval']))
      tokens.push(...words(this.#pick(['', '', '( a , b )', '( "x" )', '( nextval )'])))
      tokens.push(...words(this.#pick(['as', 'as', 'as materialized', 'as not materialized'])))
      tokens.push(
        '(',
        ...(this.#harms(0.8) ? [...this.#change(depth), ...words('returning *')] : this.#query(depth)),
        ')',
      )
      if (this.#random.chance(0.06)) tokens.push(...words('search depth first by a set o'))
      if (this.#random.chance(0.06)) tokens.push(...words("cycle a set c to 'x' default 'y' using p"))
    }
    return tokens
  }

  #simple(depth: number): string[] {
    const random = this.#random
    if (random.chance(0.04)) return ['table', ...this.#table()]
    if (random.chance(0.06)) return ['values', '(', ...this.#expression(depth), ')', ',', '(', '1', ')']
    const distinct = this.#pick([
      () => [],
      () => [],
      () => [],
      () => ['all'],
      () => ['distinct'],
      () => [...words('distinct on'), '(', ...this.#expression(depth - 1), ')'],
    ])()
    const targets = this.#list(() => [...this.#expression(depth), ...this.#alias()], 2)
    const into = this.#harms(0.5) ? words(this.#pick(['into x', 'into temp x', 'into table x'])) : []
    const from = random.chance(0.8) ? ['from', ...this.#list(() => this.#from(depth - 1), 2)] : []
    const where = random.chance(0.5) ? ['where', ...this.#expression(depth)] : []
    const group = random.chance(0.15) ? [...words('group by'), ...this.#group(depth - 1)] : []
    const having = random.chance(0.08) ? ['having', ...this.#expression(depth - 1)] : []
    const window = random.chance(0.05) ? [...words('window w as'), '(', ...this.#over(depth - 1), ')'] : []
    return ['select', ...distinct, ...targets, ...into, ...from, ...where, ...group, ...having, ...window]
  }

  #group(depth: number): string[] {
    const one = () => this.#expression(depth)
    return this.#pick([
      () => one(),
      () => ['rollup', '(', ...one(), ')'],
      () => ['cube', '(', ...one(), ',', 'a', ')'],
      () => [...words('grouping sets ( ('), ...one(), ')', ',', '(', ')', ')'],
      () => ['distinct', ...one()],
    ])()
  }

  #tail(depth: number): string[] {
    const random = this.#random
    const order = random.chance(0.2)
      ? [
          ...words('order by'),
          ...this.#expression(depth),
          ...words(this.#pick(['', 'asc', 'desc nulls last', 'using <', 'using operator ( pg_catalog.< )'])),
        ]
      : []
    const limit = random.chance(0.15)
      ? this.#pick([
          () => ['limit', ...this.#expression(depth)],
          () => ['limit', '1', 'offset', ...this.#expression(depth)],
          () => ['offset', ...this.#expression(depth)],
          () => [...words('fetch first'), ...this.#call(depth), ...words('rows only')],
          () => [...words('fetch next ('), ...this.#expression(depth), ...words(') rows only')],
          () => words('limit all'),
        ])()
      : []
    return [...order, ...limit]
  }

  #locking(): string[] {
    if (!this.#harms(0.4)) return []
    const clause = words(this.#pick(['for update', 'for no key update', 'for share', 'for key share']))
    return [...clause, ...words(this.#pick(['', 'of t', 'nowait', 'skip locked']))]
  }

  #from(depth: number): string[] {
    const random = this.#random
    const alias = () =>
      words(
        this.#pick([
          '',
          'x',
          'as x',
          'x ( a , b )',
          'as x ( a )',
          '"x" ( "a" )',
          'nextval ( a )',
          'as nextval ( a )',
        ]),
      )
    const columns = () =>
      words(
        this.#pick([
          '',
          'as x ( a int , b numeric ( 10 , 2 ) )',
          'as ( a varchar ( 3 ) )',
          'with ordinality as o ( a , b )',
          'with ordinality o ( a , b )',
        ]),
      )
    if (depth <= 0 || random.chance(0.5)) return [...this.#table(), ...alias()]
    return this.#pick([
      () => ['(', ...this.#query(depth), ')', ...alias()],
      () => ['lateral', '(', ...this.#query(depth), ')', ...alias()],
      () => [
        ...this.#from(depth - 1),
        ...words(this.#pick(['join', 'left join', 'full outer join'])),
        ...this.#from(depth - 1),
        'on',
        ...this.#expression(depth - 1),
      ],
      () => [...this.#table(), ...words('join u using ( id ) as j')],
      () => [...this.#table(), ...words('natural join u')],
      () => [...this.#table(), ...words('cross join lateral'), ...this.#call(depth - 1), ...columns()],
      () => [...this.#call(depth - 1), ...columns()],
      () => [
        ...words('rows from'),
        '(',
        ...this.#call(depth - 1),
        ',',
        ...this.#call(depth - 1),
        ')',
        ...alias(),
      ],
      () => [
        ...this.#table(),
        ...words('tablesample system ('),
        ...this.#expression(depth - 1),
        ...words(') repeatable ('),
        ...this.#expression(depth - 1),
        ')',
      ],
      () => ['(', ...this.#from(depth - 1), ...words('cross join'), ...this.#table(), ')'],
      () => [
        ...words("xmltable ( '/a' passing"),
        ...this.#primary(depth - 1),
        ...words("columns n for ordinality , a int path 'x' default"),
        ...this.#primary(depth - 1),
        ...words(') as x'),
      ],
      () => [
        ...words('json_table ('),
        ...this.#expression(depth - 1),
        ...words(", '$' passing"),
        ...this.#expression(depth - 1),
        ...words("as p columns ( a int path '$' , nested path '$.b' columns ( c text ) ) ) as x"),
      ],
    ])()
  }

  #over(depth: number): string[] {
    return this.#pick([
      () => [...words('partition by'), ...this.#expression(depth)],
      () => [
        ...words('order by'),
        ...this.#expression(depth),
        ...words('rows between 1 preceding and current row'),
      ],
      () => [
        ...words('order by a range between'),
        ...this.#primary(depth),
        'preceding',
        'and',
        ...this.#primary(depth),
        'following',
      ],
      () => [...words('order by a rows'), ...this.#primary(depth), 'preceding'],
    ])()
  }

  #call(depth: number): string[] {
    const random = this.#random
    const name = this.#harms(1) ? this.#volatileName() : words(this.#pick(HARMLESS_CALLS))
    if (random.chance(0.1)) return [...name, '(', ')']
    const args = random.chance(0.7) ? this.#list(() => this.#expression(depth - 1), 2) : this.#argument(depth)
    return [...name, '(', ...args, ')']
  }

  #volatileName(): string[] {
    return words(
      this.#pick([
        'nextval',
        'nextval',
        '"nextval"',
        'pg_catalog . nextval',
        '"pg_catalog" . "setval"',
        'pg_catalog.pg_notify',
        'txid_current',
        'pg_advisory_lock',
        'set_config',
        'dblink_exec',
        'pg_terminate_backend',
        'log_access',
        'public.log_access',
        'app . public . log_access',
        '"Log\u00a0Access"',
        'refresh',
        'public . refresh',
        '"."',
        '"as"',
        'naïve',
        'U&"nextv\\0061l"',
        'u&"n!0065xtval"\u00a0uescape\u00a0\'!\'',
      ]),
    ).map((token) => token.replaceAll('\u00a0', ' '))
  }

  #argument(depth: number): string[] {
    return [
      ...words(this.#pick(['a =>', 'a :=', 'variadic', 'distinct', 'all'])),
      ...this.#expression(depth - 1),
    ]
  }

  /** An expression that needs no parentheses around it. */
  #primary(depth: number): string[] {
    const random = this.#random
    if (depth <= 0) return random.chance(0.3) ? this.#call(-1) : [this.#leaf()]
    return random.chance(0.5) ? this.#call(depth - 1) : ['(', ...this.#expression(depth - 1), ')']
  }

  #leaf(): string {
    return this.#pick(LEAVES)
  }

  #expression(depth: number): string[] {
    const random = this.#random
    if (depth < 0 || random.chance(0.55)) return this.#harms(0.5) ? this.#call(-1) : [this.#leaf()]
    const one = () => this.#expression(depth - 1)
    const small = () => this.#primary(depth - 1)
    return this.#pick<() => string[]>([
      () => this.#call(depth),
      () => this.#call(depth),
      () => ['(', ...one(), ')'],
      () => ['(', ...this.#query(depth - 1), ')'],
      () => ['exists', '(', ...this.#query(depth - 1), ')'],
      () => ['array', '(', ...this.#query(depth - 1), ')'],
      () => ['array', '[', ...one(), ',', ...one(), ']'],
      () => ['row', '(', ...one(), ',', ...one(), ')'],
      () => ['(', ...one(), ',', ...one(), ')'],
      () => [...small(), this.#pick(OPERATORS), ...small()],
      () => [this.#pick(['-', '+', '~', '@', '!!']), ...small()],
      () => [
        ...small(),
        ...words(this.#pick(['operator ( pg_catalog.+ )', 'operator ( public.@@@ )'])),
        ...small(),
      ],
      () => [...words('operator ( - )'), ...small()],
      () => [
        '(',
        ...small(),
        ...words(
          this.#pick([
            'and',
            'or',
            'is distinct from',
            'is not distinct from',
            'like',
            'not ilike',
            'similar to',
          ]),
        ),
        ...small(),
        ')',
      ],
      () => ['not', ...small()],
      () => [...small(), 'in', '(', ...this.#list(one, 2), ')'],
      () => [...small(), ...words('not in'), '(', ...this.#query(depth - 1), ')'],
      () => [...small(), '=', this.#pick(['any', 'all', 'some']), '(', ...one(), ')'],
      () => [...small(), 'between', ...words(this.#pick(['', 'symmetric'])), ...small(), 'and', ...small()],
      () => [
        ...small(),
        ...words(
          this.#pick(['is null', 'isnull', 'notnull', 'is not true', 'is json object', 'is nfc normalized']),
        ),
      ],
      () => [...small(), 'like', ...small(), 'escape', ...small()],
      () => [...words('( a , b ) overlaps ('), ...one(), ',', ...one(), ')'],
      () => [...small(), ...words('at time zone'), ...small()],
      () => [...small(), ...words('collate "C"')],
      () => [
        ...small(),
        '::',
        ...words(
          this.#pick([
            'int',
            'numeric ( 10 , 2 )',
            'text [ ]',
            'public.kind',
            'kind ( 3 )',
            'timestamp ( 3 ) with time zone',
          ]),
        ),
      ],
      () => ['cast', '(', ...one(), 'as', ...words(this.#pick(['int', 'varchar ( 3 )', 'kind ( 3 )'])), ')'],
      () => ['case', ...words('when'), ...one(), 'then', ...one(), 'else', ...one(), 'end'],
      () => ['case', ...one(), 'when', ...one(), 'then', ...one(), 'end'],
      () => [this.#pick(['coalesce', 'greatest', 'least', 'nullif']), '(', ...one(), ',', ...one(), ')'],
      () => ['extract', '(', 'epoch', 'from', ...one(), ')'],
      () => ['substring', '(', ...one(), 'from', ...one(), 'for', ...one(), ')'],
      () => ['substring', '(', ...small(), 'similar', ...small(), 'escape', ...small(), ')'],
      () => ['overlay', '(', ...one(), 'placing', ...one(), 'from', ...one(), ')'],
      () => ['position', '(', ...small(), 'in', ...small(), ')'],
      () => ['trim', '(', this.#pick(['both', 'leading', 'trailing']), ...one(), 'from', ...one(), ')'],
      () => ['normalize', '(', ...one(), ',', 'nfc', ')'],
      () => [...words('collation for ('), ...one(), ')'],
      () => (this.#harms(1) ? ['treat', '(', ...one(), ...words('as nextval )')] : one()),
      () => [...words("json_object ( 'a' value"), ...one(), ')'],
      () => [...words("json_object ( 'a' :"), ...one(), ...words('absent on null )')],
      () => [...words('json_array ('), ...one(), ',', ...one(), ...words('null on null )')],
      () => [...words('json_array ('), ...this.#query(depth - 1), ')'],
      () => [...words("json_objectagg ( 'k' :"), ...one(), ...words(') filter ( where'), ...one(), ')'],
      () => [...words('json_arrayagg ('), ...one(), ...words('order by'), ...one(), ')'],
      () => [
        ...words('json_value ('),
        ...one(),
        ...words(", '$.a' passing"),
        ...one(),
        ...words('as p returning int default'),
        ...one(),
        ...words('on empty )'),
      ],
      () => [...words('json_query ('), ...one(), ...words(", '$' with wrapper )")],
      () => [...words('json_exists ('), ...one(), ...words(", '$' )")],
      () => [...words('json_serialize ('), ...one(), ')'],
      () => [
        ...words('xmlelement ( name foo , xmlattributes ('),
        ...one(),
        ...words('as a )'),
        ',',
        ...one(),
        ')',
      ],
      () => [...words('xmlforest ('), ...one(), ...words('as a )')],
      () => [...words('xmlconcat ('), ...one(), ')'],
      () => [...words('xmlparse ( document'), ...one(), ')'],
      () => [...words('xmlpi ( name foo ,'), ...one(), ')'],
      () => [...words('xmlserialize ( content'), ...one(), ...words('as text )')],
      () => [
        ...words('xmlroot ('),
        ...one(),
        ...words(', version'),
        ...one(),
        ...words(', standalone yes )'),
      ],
      () => [...words("xmlexists ( 'x' passing"), ...small(), ')'],
      () => [...words('count ( * ) filter ( where'), ...one(), ')'],
      () => [...words('sum ( distinct'), ...one(), ')', 'over', '(', ...this.#over(depth - 1), ')'],
      () => [...words('array_agg ('), ...one(), ...words('order by'), ...one(), ')', 'over', 'w'],
      () => [...words('percentile_cont ('), ...one(), ...words(') within group ( order by'), ...one(), ')'],
      () => ['a', '[', ...one(), ']'],
      () => ['a', '[', ...small(), ':', ...small(), ']'],
      () => ['(', ...one(), ')', '.', this.#pick(['x', '"X"', '*', 'select'])],
      () => ['(', ...one(), ')', '[', ...one(), ']'],
      () => [...words('t . a')],
      () => [...words("interval '1' day")],
      () => [...words("interval ( 3 ) '1 day'")],
      () => [...words("date '2020-01-01' +"), ...small()],
      () => [this.#pick(['0xe', '1e5', '1.5', '.5', '1_000', '0b1']), '+', ...small()],
      () => [...words('current_timestamp ( 3 )')],
      () => [...words('grouping ( a )')],
    ])()
  }

  #alias(): string[] {
    return words(
      this.#pick([
        '',
        '',
        '',
        'as x',
        'x',
        'as "x"',
        '"nextval"',
        'as nextval',
        'as select',
        'as "für"',
        'as "a""b"',
      ]),
    )
  }

  #table(): string[] {
    return words(
      this.#pick([
        't',
        't',
        'public.t',
        '"T"',
        '"public" . "t t"'.replace('t t', 't\u00a0t'),
        'only t',
        't *',
        'only ( t )',
        'größe',
        '"t"',
        '"t"',
        's.t',
        's.t',
        'a$b',
      ]),
    ).map((token) => token.replaceAll('\u00a0', ' '))
  }

  #list(one: () => string[], most: number): string[] {
    const tokens = one()
    for (let count = this.#random.below(most); count > 0; count--) tokens.push(',', ...one())
    return tokens
  }

  #pick<Value>(values: readonly Value[]): Value {
    return this.#random.pick(values)
  }

  #harms(weight: number): boolean {
    return this.#random.chance(this.#harm * weight)
  }
}

function words(text: string): string[] {
  return text === '' ? [] : text.split(' ')
}

const HARMLESS_CALLS = [
  'lower',
  'upper',
  'count',
  'max',
  'length',
  'pg_catalog.now',
  'now',
  '"lower"',
  'date_trunc',
  'jsonb_agg',
  'to_char',
  'left',
  'random',
  'generate_series',
  'unnest',
]
const OPERATORS = [
  '+',
  '-',
  '*',
  '/',
  '%',
  '<',
  '>',
  '=',
  '<=',
  '<>',
  '!=',
  '||',
  '->',
  '->>',
  '#>',
  '@>',
  '<@',
  '&&',
  '~*',
  '!~',
  '?',
  '@@',
]
const LEAVES = [
  'a',
  't.a',
  '"a"',
  '"t"."A b"',
  '1',
  '1.5e-3',
  '0x1F',
  '$1',
  '$22',
  "'text'",
  "'it''s'",
  "'; delete from t; --'",
  "'\\'",
  "E'\\''",
  "e'\\\\'",
  "E'\\x27 nextval(\\'s\\')'",
  "N'n'",
  "B'01'",
  "x'1F'",
  "U&'\\0061'",
  "u&'!0061' uescape '!'",
  "$$ it's; $ $$",
  '$a$ $b$ $$ nextval(1) $a$',
  '$été$ ; $été$',
  "'/*'",
  "'--'",
  '"/*"',
  '"--"',
  '"$$"',
  '"it\'s"',
  '"."',
  '";"',
  '"("',
  'null',
  'true',
  'current_date',
  'current_user',
  'a$1',
  'ünï',
  'excluded',
  'key',
  'value',
  'nextval',
  't.nextval',
  't.update',
  't.into',
]
