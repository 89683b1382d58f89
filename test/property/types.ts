import { bare, type Carrier, carrierOf, lie, typeName } from './carrier.ts'
import type { Callable } from './functions.ts'
import { makeOperatedCarrier } from './operated-types.ts'
import type { SchemaBuilder } from './schema-builder.ts'

/** A type that calls it: a domain, a cast, an operator; by itself or within arrays, composites and ranges. */
export function makeTypeCarrier(schema: SchemaBuilder, callable: Callable): Carrier {
  const { random } = schema
  return random.pick([makeDomainCarrier, makeOperatorCarrier, makeCastCarrier, makeOperatedCarrier])(
    schema,
    callable,
  )
}

function makeDomainCarrier(schema: SchemaBuilder, callable: Callable): Carrier {
  const { random } = schema
  const name = typeName(schema, 'dom')
  let check = `${callable.name}(value) is not null`
  let isHarmless = true
  if (random.chance(0.4)) {
    // As people write them: a function that says whether the value is right.
    const own = schema.fresh('is_right')
    const volatility = lie(schema, callable)
    schema.add(
      `create function ${own}(p int) returns bool language plpgsql ${volatility} as $$begin return ${callable.name}(p) > -50; end$$`,
    )
    check = `${own}(value)`
    isHarmless = volatility !== 'volatile'
  }
  schema.add(`create domain ${name} as int check (${check})`)
  const make = random.pick<() => [string, Carrier['of']]>([
    () => ['domain', (x) => `(${x})::${name}::int`],
    () => ['domain', (x) => `cast(${x} as ${name})::int`],
    () => ['domain by a literal', () => `${name} '3' + 0`],
    () => ['domain in an array', (x) => `((array[${x}])::${name}[])[1]::int`],
    () => [
      'domain of a record',
      (x) => `(select v::int from jsonb_to_record(jsonb_build_object('v', ${x})) as r(v ${name}))`,
    ],
    () => [
      'domain of a recordset',
      (x) =>
        `(select max(v)::int from json_to_recordset(json_build_array(json_build_object('v', ${x}))) as r(v ${name}))`,
    ],
    () => ['domain in JSON_VALUE', (x) => `json_value(to_jsonb(${x}), '$' returning ${name})::int`],
    () => [
      'domain in JSON_TABLE',
      (x) => `(select v::int from json_table(to_jsonb(${x}), '$' columns (v ${name} path '$')) as j)`,
    ],
    () => [
      'domain in XMLTABLE',
      () => `(select v::int from xmltable('/a' passing xml '<a>3</a>' columns v ${name} path '.') as x)`,
    ],
    () => {
      const outer = typeName(schema, 'dom')
      schema.add(`create domain ${outer} as ${name} check (value is not null)`)
      return ['domain over a domain', (x) => `(${x})::${outer}::int`]
    },
    () => {
      const composite = typeName(schema, 'comp')
      schema.add(`create type ${composite} as (v ${name}, w text)`)
      return random.pick<[string, Carrier['of']]>([
        ['domain in a composite', (x) => `(row(${x}, 'a')::${composite}).v::int`],
        [
          'domain in a populated record',
          (x) => `(jsonb_populate_record(null::${composite}, jsonb_build_object('v', ${x}))).v::int`,
        ],
      ])
    },
    () => {
      const own = schema.fresh('domf')
      schema.add(`create function ${own}(p ${name}) returns int language sql stable as 'select p::int'`)
      return ['domain of an argument', (x) => `${own}(${x})`]
    },
    () => {
      const own = schema.fresh('domr')
      schema.add(`create function ${own}(p int) returns ${name} language sql stable as 'select p'`)
      return ['domain of a result', (x) => `${own}(${x})::int`]
    },
    () => {
      const table = schema.table('domt')
      schema.add(`create table ${table} (id int, d ${name})`)
      schema.add(`insert into ${table} values (1, 5), (2, null)`)
      isHarmless = true
      return ['domain of a column', () => `(select max(d)::int from ${table} where d > 1)`]
    },
  ])
  const [feature, of] = make()
  if (feature !== 'domain of a column') return carrierOf(callable, feature, of, isHarmless)
  // What is stored is not checked again.
  return { feature, effect: 'nothing', isHarmless: true, of }
}

const SIGNS = ['@', '#', '%', '&', '|', '~', '<', '>', '=', '!', '?', '^', '*', '/']

function makeOperatorCarrier(schema: SchemaBuilder, callable: Callable): Carrier {
  const { random } = schema
  const own = schema.fresh('opf')
  const volatility = lie(schema, callable)
  const body = `language sql ${volatility} as $$select ${callable.name}(p)$$`
  const sign = `${random.pick(['@', '#', '%', '&', '|', '?'])}${random.pick(SIGNS)}${random.pick(['@', '#', '%', '|', '<', '>'])}${random.pick(['', '@', '~'])}`
  const isHarmless = volatility !== 'volatile'
  if (random.chance(0.35)) {
    schema.add(`create function ${own}(p int) returns int ${body}`)
    schema.add(`create operator ${sign} (rightarg = int, function = ${own})`)
    const of = random.pick<Carrier['of']>([(x) => `(${sign} ${x})`, (x) => `(operator(public.${sign}) ${x})`])
    return carrierOf(callable, 'prefix operator', of, isHarmless)
  }
  if (random.chance(0.3)) {
    schema.add(
      `create function ${own}(p int, q int) returns bool language sql ${volatility} as $$select ${callable.name}(p) <> q$$`,
    )
    schema.add(`create operator ${sign} (leftarg = int, rightarg = int, function = ${own})`)
    const of = random.pick<Carrier['of']>([
      (x) => `(${x} ${sign} any (array[1, 2]))::int`,
      (x) => `(${x} ${sign} all (select id from ${schema.base}))::int`,
      (x) => `(case when ${x} operator(public.${sign}) 2 then 1 else 0 end)`,
    ])
    return carrierOf(callable, 'boolean operator', of, isHarmless)
  }
  schema.add(`create function ${own}(p int, q int) returns int ${body}`)
  schema.add(`create operator ${sign} (leftarg = int, rightarg = int, function = ${own})`)
  const of = random.pick<Carrier['of']>([
    (x) => `(${x} ${sign} 1)`,
    (x) => `(${x} operator(public.${sign}) 1)`,
    (x) => `(${x}${sign}1)`,
  ])
  return carrierOf(callable, 'operator', of, isHarmless)
}

function makeCastCarrier(schema: SchemaBuilder, callable: Callable): Carrier {
  const { random } = schema
  const type = typeName(schema, 'ct')
  const own = schema.fresh('castf')
  const volatility = lie(schema, callable)
  const isHarmless = volatility !== 'volatile'
  schema.add(`create type ${type} as (x int)`)
  const language = random.pick([`language sql ${volatility} as`, `language plpgsql ${volatility} as`])
  const body = (value: string) =>
    language.includes('plpgsql') ? `$$begin return ${value}; end$$` : `$$select ${value}$$`
  const as = random.pick(['', ' as assignment', ' as implicit'])
  const way = random.pick(['to int', 'to text', 'from int'] as const)
  if (way === 'from int') {
    schema.add(
      `create function ${own}(p int) returns ${type} ${language} ${body(`row(${callable.name}(p))::${type}`)}`,
    )
    schema.add(`create cast (int as ${type}) with function ${own}(int)${as}`)
    const of = random.pick<Carrier['of']>([
      (x) => `((${x})::${type}).x`,
      (x) => `(cast(${x} as public.${bare(type)})).x`,
    ])
    return carrierOf(callable, 'cast from int', of, isHarmless)
  }
  if (way === 'to text') {
    schema.add(
      `create function ${own}(p ${type}) returns text ${language} ${body(`${callable.name}(p.x)::text`)}`,
    )
    schema.add(`create cast (${type} as text) with function ${own}(${type})${as}`)
    const of = random.pick<Carrier['of']>([
      (x) => `length((row(${x})::${type})::text)`,
      (x) => `length(cast(row(${x})::${type} as pg_catalog.text))`,
      (x) => `length((row(${x})::${type})::varchar)`,
      (x) => `length(text(row(${x})::${type}))`,
    ])
    return carrierOf(callable, 'cast to text', of, isHarmless)
  }
  schema.add(`create function ${own}(p ${type}) returns int ${language} ${body(`${callable.name}(p.x)`)}`)
  schema.add(`create cast (${type} as int) with function ${own}(${type})${as}`)
  const row = (x: string) => `row(${x})::${type}`
  const explicit: Carrier['of'][] = [
    (x) => `(${row(x)})::int`,
    (x) => `cast(${row(x)} as integer)`,
    (x) => `(${row(x)})::pg_catalog.int4`,
    (x) => `((array[${row(x)}])::int[])[1]`,
    (x) => `int4(${row(x)})`,
  ]
  const implicit: Carrier['of'][] = [(x) => `(${row(x)} + 0)`, (x) => `abs(${row(x)})`]
  const of = random.pick(as === ' as implicit' ? [...explicit, ...implicit] : explicit)
  return carrierOf(callable, `cast to int${as}`, of, isHarmless)
}
