import { Choices, words } from './choices.ts'
import { Expressions } from './expressions.ts'
import type { Random } from './random.ts'

/** Makes statements, as lists of tokens. What writes, locks or is volatile comes with `harm`, its probability per place. */
export class Statements extends Choices {
  readonly #expressions: Expressions

  constructor(random: Random, harm: number) {
    super(random, harm)
    this.#expressions = new Expressions(random, harm, (depth) => this.#query(depth))
  }

  statement(): string[] {
    const first = this.#one()
    if (this.harms(0.3)) return [...first, ';', ...this.#one()]
    return [...first, ...this.pick([[], [], [], [';'], [';', ';']])]
  }

  #one(): string[] {
    const random = this.random
    if (this.harms(0.5)) return this.#change(2)
    if (random.chance(0.06)) return this.#explain()
    if (random.chance(0.02)) return words(this.pick(['show all', 'show search_path', 'show time zone']))
    return this.#query(random.pick([1, 1, 2]))
  }

  #explain(): string[] {
    const options = this.pick([
      'explain',
      'explain verbose',
      'explain ( costs off )',
      'explain ( verbose , format json )',
      'explain analyze',
      'explain analyze verbose',
      'explain ( analyze )',
      'explain ( costs off , analyze true , timing 0 )',
      'explain ( "analyze" )',
      'explain ( analyze false )',
      'explain ( analyze , costs off , analyze 0 )',
      'explain ( analyze off , analyze on )',
    ])
    const parenthesized = this.random.chance(0.2) ? ['(', ...this.#query(1), ')'] : this.#explained()
    return [...words(options), ...parenthesized]
  }

  #explained(): string[] {
    return this.random.chance(0.3) ? this.#change(1) : this.#query(2)
  }

  #change(depth: number): string[] {
    const table = words(this.pick(['t', 'public.t', '"T"', '"public" . "into"']))
    const where = ['where', ...this.#expressions.expression(depth)]
    return this.pick([
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
        ...this.#expressions.expression(depth),
        ')',
      ],
      () => [
        ...words('insert into'),
        ...table,
        ...words('default values returning'),
        ...this.#expressions.expression(depth),
      ],
      () => [
        ...words('insert into'),
        ...table,
        ...words('values ( 1 ) on conflict ( id ) do update set a ='),
        ...this.#expressions.expression(depth),
      ],
      () => ['update', ...table, 'set', 'a', '=', ...this.#expressions.expression(depth), ...where],
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
    const random = this.random
    const withs = depth > 0 && random.chance(0.25) ? this.#with(depth - 1) : []
    if (withs.length > 0 && this.harms(0.4)) return [...withs, ...this.#change(depth - 1)]
    let body = this.#simple(depth)
    while (depth > 0 && random.chance(0.12)) {
      const operator = words(
        this.pick(['union', 'union all', 'intersect', 'except', 'except all', 'union distinct']),
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
    const tokens = words(this.pick(['with', 'with', 'with recursive']))
    const count = 1 + this.random.below(2)
    for (let index = 0; index < count; index++) {
      if (index > 0) tokens.push(',')
      tokens.push(this.pick(['a', 'values', 'w1', '"w"', '"as"', 'data', 'nextval']))
      tokens.push(...words(this.pick(['', '', '( a , b )', '( "x" )', '( nextval )'])))
      tokens.push(...words(this.pick(['as', 'as', 'as materialized', 'as not materialized'])))
      tokens.push(
        '(',
        ...(this.harms(0.8) ? [...this.#change(depth), ...words('returning *')] : this.#query(depth)),
        ')',
      )
      if (this.random.chance(0.06)) tokens.push(...words('search depth first by a set o'))
      if (this.random.chance(0.06)) tokens.push(...words("cycle a set c to 'x' default 'y' using p"))
    }
    return tokens
  }

  #simple(depth: number): string[] {
    const random = this.random
    if (random.chance(0.04)) return ['table', ...this.#table()]
    if (random.chance(0.06))
      return ['values', '(', ...this.#expressions.expression(depth), ')', ',', '(', '1', ')']
    const distinct = this.pick([
      () => [],
      () => [],
      () => [],
      () => ['all'],
      () => ['distinct'],
      () => [...words('distinct on'), '(', ...this.#expressions.expression(depth - 1), ')'],
    ])()
    const targets = this.list(() => [...this.#expressions.expression(depth), ...this.#alias()], 2)
    const into = this.harms(0.5) ? words(this.pick(['into x', 'into temp x', 'into table x'])) : []
    const from = random.chance(0.8) ? ['from', ...this.list(() => this.#from(depth - 1), 2)] : []
    const where = random.chance(0.5) ? ['where', ...this.#expressions.expression(depth)] : []
    const group = random.chance(0.15) ? [...words('group by'), ...this.#group(depth - 1)] : []
    const having = random.chance(0.08) ? ['having', ...this.#expressions.expression(depth - 1)] : []
    const window = random.chance(0.05)
      ? [...words('window w as'), '(', ...this.#expressions.over(depth - 1), ')']
      : []
    return ['select', ...distinct, ...targets, ...into, ...from, ...where, ...group, ...having, ...window]
  }

  #group(depth: number): string[] {
    const one = () => this.#expressions.expression(depth)
    return this.pick([
      () => one(),
      () => ['rollup', '(', ...one(), ')'],
      () => ['cube', '(', ...one(), ',', 'a', ')'],
      () => [...words('grouping sets ( ('), ...one(), ')', ',', '(', ')', ')'],
      () => ['distinct', ...one()],
    ])()
  }

  #tail(depth: number): string[] {
    const random = this.random
    const order = random.chance(0.2)
      ? [
          ...words('order by'),
          ...this.#expressions.expression(depth),
          ...words(this.pick(['', 'asc', 'desc nulls last', 'using <', 'using operator ( pg_catalog.< )'])),
        ]
      : []
    const limit = random.chance(0.15)
      ? this.pick([
          () => ['limit', ...this.#expressions.expression(depth)],
          () => ['limit', '1', 'offset', ...this.#expressions.expression(depth)],
          () => ['offset', ...this.#expressions.expression(depth)],
          () => [...words('fetch first'), ...this.#expressions.call(depth), ...words('rows only')],
          () => [...words('fetch next ('), ...this.#expressions.expression(depth), ...words(') rows only')],
          () => words('limit all'),
        ])()
      : []
    return [...order, ...limit]
  }

  #locking(): string[] {
    if (!this.harms(0.4)) return []
    const clause = words(this.pick(['for update', 'for no key update', 'for share', 'for key share']))
    return [...clause, ...words(this.pick(['', 'of t', 'nowait', 'skip locked']))]
  }

  #from(depth: number): string[] {
    const random = this.random
    const alias = () =>
      words(
        this.pick([
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
        this.pick([
          '',
          'as x ( a int , b numeric ( 10 , 2 ) )',
          'as ( a varchar ( 3 ) )',
          'with ordinality as o ( a , b )',
          'with ordinality o ( a , b )',
        ]),
      )
    if (depth <= 0 || random.chance(0.5)) return [...this.#table(), ...alias()]
    return this.pick([
      () => ['(', ...this.#query(depth), ')', ...alias()],
      () => ['lateral', '(', ...this.#query(depth), ')', ...alias()],
      () => [
        ...this.#from(depth - 1),
        ...words(this.pick(['join', 'left join', 'full outer join'])),
        ...this.#from(depth - 1),
        'on',
        ...this.#expressions.expression(depth - 1),
      ],
      () => [...this.#table(), ...words('join u using ( id ) as j')],
      () => [...this.#table(), ...words('natural join u')],
      () => [
        ...this.#table(),
        ...words('cross join lateral'),
        ...this.#expressions.call(depth - 1),
        ...columns(),
      ],
      () => [...this.#expressions.call(depth - 1), ...columns()],
      () => [
        ...words('rows from'),
        '(',
        ...this.#expressions.call(depth - 1),
        ',',
        ...this.#expressions.call(depth - 1),
        ')',
        ...alias(),
      ],
      () => [
        ...this.#table(),
        ...words('tablesample system ('),
        ...this.#expressions.expression(depth - 1),
        ...words(') repeatable ('),
        ...this.#expressions.expression(depth - 1),
        ')',
      ],
      () => ['(', ...this.#from(depth - 1), ...words('cross join'), ...this.#table(), ')'],
      () => [
        ...words("xmltable ( '/a' passing"),
        ...this.#expressions.primary(depth - 1),
        ...words("columns n for ordinality , a int path 'x' default"),
        ...this.#expressions.primary(depth - 1),
        ...words(') as x'),
      ],
      () => [
        ...words('json_table ('),
        ...this.#expressions.expression(depth - 1),
        ...words(", '$' passing"),
        ...this.#expressions.expression(depth - 1),
        ...words("as p columns ( a int path '$' , nested path '$.b' columns ( c text ) ) ) as x"),
      ],
    ])()
  }

  #alias(): string[] {
    return words(
      this.pick([
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
      this.pick([
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
}
