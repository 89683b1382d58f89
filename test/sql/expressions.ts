import { Choices, words } from './choices.ts'
import type { Random } from './random.ts'
import { HARMLESS_CALLS, LEAVES, OPERATORS, VOLATILE_NAMES } from './vocabulary.ts'

/** Makes expressions of every kind, as lists of tokens; a call stands at every place where an expression can. */
export class Expressions extends Choices {
  readonly #query: (depth: number) => string[]

  constructor(random: Random, harm: number, query: (depth: number) => string[]) {
    super(random, harm)
    this.#query = query
  }

  call(depth: number): string[] {
    const random = this.random
    const name = this.harms(1) ? this.#volatileName() : words(this.pick(HARMLESS_CALLS))
    if (random.chance(0.1)) return [...name, '(', ')']
    const args = random.chance(0.7) ? this.list(() => this.expression(depth - 1), 2) : this.#argument(depth)
    return [...name, '(', ...args, ')']
  }

  #volatileName(): string[] {
    return words(this.pick(VOLATILE_NAMES)).map((token) => token.replaceAll('\u00a0', ' '))
  }

  #argument(depth: number): string[] {
    return [
      ...words(this.pick(['a =>', 'a :=', 'variadic', 'distinct', 'all'])),
      ...this.expression(depth - 1),
    ]
  }

  /** An expression that needs no parentheses around it. */
  primary(depth: number): string[] {
    const random = this.random
    if (depth <= 0) return random.chance(0.3) ? this.call(-1) : [this.#leaf()]
    return random.chance(0.5) ? this.call(depth - 1) : ['(', ...this.expression(depth - 1), ')']
  }

  #leaf(): string {
    return this.pick(LEAVES)
  }

  expression(depth: number): string[] {
    const random = this.random
    if (depth < 0 || random.chance(0.55)) return this.harms(0.5) ? this.call(-1) : [this.#leaf()]
    const one = () => this.expression(depth - 1)
    const small = () => this.primary(depth - 1)
    return this.pick<() => string[]>([
      () => this.call(depth),
      () => this.call(depth),
      () => ['(', ...one(), ')'],
      () => ['(', ...this.#query(depth - 1), ')'],
      () => ['exists', '(', ...this.#query(depth - 1), ')'],
      () => ['array', '(', ...this.#query(depth - 1), ')'],
      () => ['array', '[', ...one(), ',', ...one(), ']'],
      () => ['row', '(', ...one(), ',', ...one(), ')'],
      () => ['(', ...one(), ',', ...one(), ')'],
      () => [...small(), this.pick(OPERATORS), ...small()],
      () => [this.pick(['-', '+', '~', '@', '!!']), ...small()],
      () => [
        ...small(),
        ...words(this.pick(['operator ( pg_catalog.+ )', 'operator ( public.@@@ )'])),
        ...small(),
      ],
      () => [...words('operator ( - )'), ...small()],
      () => [
        '(',
        ...small(),
        ...words(
          this.pick([
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
      () => [...small(), 'in', '(', ...this.list(one, 2), ')'],
      () => [...small(), ...words('not in'), '(', ...this.#query(depth - 1), ')'],
      () => [...small(), '=', this.pick(['any', 'all', 'some']), '(', ...one(), ')'],
      () => [...small(), 'between', ...words(this.pick(['', 'symmetric'])), ...small(), 'and', ...small()],
      () => [
        ...small(),
        ...words(
          this.pick(['is null', 'isnull', 'notnull', 'is not true', 'is json object', 'is nfc normalized']),
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
          this.pick([
            'int',
            'numeric ( 10 , 2 )',
            'text [ ]',
            'public.kind',
            'kind ( 3 )',
            'timestamp ( 3 ) with time zone',
          ]),
        ),
      ],
      () => ['cast', '(', ...one(), 'as', ...words(this.pick(['int', 'varchar ( 3 )', 'kind ( 3 )'])), ')'],
      () => ['case', ...words('when'), ...one(), 'then', ...one(), 'else', ...one(), 'end'],
      () => ['case', ...one(), 'when', ...one(), 'then', ...one(), 'end'],
      () => [this.pick(['coalesce', 'greatest', 'least', 'nullif']), '(', ...one(), ',', ...one(), ')'],
      () => ['extract', '(', 'epoch', 'from', ...one(), ')'],
      () => ['substring', '(', ...one(), 'from', ...one(), 'for', ...one(), ')'],
      () => ['substring', '(', ...small(), 'similar', ...small(), 'escape', ...small(), ')'],
      () => ['overlay', '(', ...one(), 'placing', ...one(), 'from', ...one(), ')'],
      () => ['position', '(', ...small(), 'in', ...small(), ')'],
      () => ['trim', '(', this.pick(['both', 'leading', 'trailing']), ...one(), 'from', ...one(), ')'],
      () => ['normalize', '(', ...one(), ',', 'nfc', ')'],
      () => [...words('collation for ('), ...one(), ')'],
      () => (this.harms(1) ? ['treat', '(', ...one(), ...words('as nextval )')] : one()),
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
      () => [...words('sum ( distinct'), ...one(), ')', 'over', '(', ...this.over(depth - 1), ')'],
      () => [...words('array_agg ('), ...one(), ...words('order by'), ...one(), ')', 'over', 'w'],
      () => [...words('percentile_cont ('), ...one(), ...words(') within group ( order by'), ...one(), ')'],
      () => ['a', '[', ...one(), ']'],
      () => ['a', '[', ...small(), ':', ...small(), ']'],
      () => ['(', ...one(), ')', '.', this.pick(['x', '"X"', '*', 'select'])],
      () => ['(', ...one(), ')', '[', ...one(), ']'],
      () => [...words('t . a')],
      () => [...words("interval '1' day")],
      () => [...words("interval ( 3 ) '1 day'")],
      () => [...words("date '2020-01-01' +"), ...small()],
      () => [this.pick(['0xe', '1e5', '1.5', '.5', '1_000', '0b1']), '+', ...small()],
      () => [...words('current_timestamp ( 3 )')],
      () => [...words('grouping ( a )')],
    ])()
  }

  over(depth: number): string[] {
    return this.pick([
      () => [...words('partition by'), ...this.expression(depth)],
      () => [
        ...words('order by'),
        ...this.expression(depth),
        ...words('rows between 1 preceding and current row'),
      ],
      () => [
        ...words('order by a range between'),
        ...this.primary(depth),
        'preceding',
        'and',
        ...this.primary(depth),
        'following',
      ],
      () => [...words('order by a rows'), ...this.primary(depth), 'preceding'],
    ])()
  }
}
