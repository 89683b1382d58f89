import { type Carrier, carrierOf, lie, typeName } from './carrier.ts'
import type { Callable } from './functions.ts'
import type { SchemaBuilder } from './schema-builder.ts'

/** A composite type whose operators call it; most of what uses them shows no sign. */
export function makeOperatedCarrier(schema: SchemaBuilder, callable: Callable): Carrier {
  const { random, base } = schema
  const type = typeName(schema, 'op')
  const own = schema.fresh('cmp')
  const table = schema.table('opt')
  const volatility = lie(schema, callable)
  schema.add(`create type ${type} as (x int)`)
  const compared = (operator: string, name: string) => {
    const isCalling = operator === calling || calling === 'all'
    const value = isCalling ? `${callable.name}((p).x) * 0 + (p).x` : '(p).x'
    schema.add(
      `create function ${name}(p ${type}, q ${type}) returns bool language plpgsql ${isCalling ? volatility : 'immutable'} as $$begin return ${value} ${operator} (q).x; end$$`,
    )
  }
  const calling = random.pick(['all', 'all', '=', '<', 'cmp'])
  for (const [index, operator] of ['<', '<=', '=', '>=', '>'].entries()) {
    compared(operator, `${own}_${index}`)
    schema.add(
      `create operator ${operator} (leftarg = ${type}, rightarg = ${type}, function = ${own}_${index})`,
    )
  }
  compared('<>', `${own}_ne`)
  schema.add(`create operator <> (leftarg = ${type}, rightarg = ${type}, function = ${own}_ne)`)
  schema.add(`create operator ~~ (leftarg = ${type}, rightarg = ${type}, function = ${own}_2)`)
  const value = calling === 'all' || calling === 'cmp' ? `${callable.name}((p).x) * 0` : '0'
  schema.add(
    `create function ${own}_cmp(p ${type}, q ${type}) returns int language plpgsql ${value === '0' ? 'immutable' : volatility} as $$begin return ${value} + sign((p).x - (q).x)::int; end$$`,
  )
  schema.add(
    `create operator class ${own}_ops default for type ${type} using btree as operator 1 <, operator 2 <=, operator 3 =, operator 4 >=, operator 5 >, function 1 ${own}_cmp(${type}, ${type})`,
  )
  schema.add(`create table ${table} (id int, c ${type})`)
  schema.add(`insert into ${table} values (1, row(1)), (2, row(2)), (3, row(2))`)
  const row = (x: string) => `row(${x})::${type}`
  const ways: readonly [string, Carrier['of']][] = [
    ['=', (x) => `(${row(x)} = ${row('2')})::int`],
    ['!=', (x) => `(${row(x)} != ${row('2')})::int`],
    ['IN', (x) => `(${row(x)} in (${row('2')}, ${row('3')}))::int`],
    ['NOT IN', (x) => `(${row(x)} not in (select c from ${table}))::int`],
    ['BETWEEN', (x) => `(${row(x)} between ${row('0')} and ${row('3')})::int`],
    ['CASE', (x) => `(case ${row(x)} when ${row('2')} then 1 else 0 end)`],
    ['NULLIF', (x) => `(nullif(${row(x)}, ${row('2')}) is null)::int`],
    ['GREATEST', (x) => `(greatest(${row(x)}, ${row('0')})).x`],
    ['LIKE', (x) => `(${row(x)} like ${row('2')})::int`],
    ['IS DISTINCT FROM', (x) => `(${row(x)} is distinct from ${row('2')})::int`],
    ['ANY', (x) => `(${row(x)} = any (array(select c from ${table})))::int`],
    ['row comparison', (x) => `((${row(x)}, 1) = (${row('2')}, 1))::int`],
    ['array comparison', (x) => `(array[${row(x)}] = array[${row('2')}])::int`],
    ['array_position', (x) => `coalesce(array_position(array[${row(x)}], ${row('2')}), 0)`],
    ['ORDER BY', () => `(select id from ${table} order by c desc limit 1)`],
    [
      'ORDER BY a number',
      () => `(select (c).x from (select c from ${table} order by 1 limit 2) as q limit 1)`,
    ],
    ['DISTINCT', () => `(select count(*)::int from (select distinct c from ${table}) as q)`],
    ['COUNT DISTINCT', () => `(select count(distinct c)::int from ${table})`],
    ['GROUP BY', () => `(select max(n)::int from (select count(*) as n from ${table} group by c) as q)`],
    ['UNION', () => `(select count(*)::int from (select c from ${table} union select c from ${table}) as q)`],
    ['EXCEPT', () => `(select count(*)::int from (select c from ${table} except select ${row('1')}) as q)`],
    ['USING', () => `(select count(*)::int from ${table} a join ${table} b using (c))`],
    ['NATURAL', () => `(select count(*)::int from ${table} a natural join (select c from ${table}) b)`],
    [
      'PARTITION BY',
      () =>
        `(select max(n)::int from (select row_number() over (partition by c order by id) as n from ${table}) as q)`,
    ],
    [
      'window ORDER BY',
      () => `(select max(n)::int from (select rank() over (order by c) as n from ${table}) as q)`,
    ],
    ['array_agg ORDER BY', () => `(select array_length(array_agg(id order by c), 1) from ${table})`],
    ['composite comparison', () => `(select count(*)::int from ${table} a join ${table} b on a = b)`],
  ]
  if (random.chance(0.15)) {
    const range = typeName(schema, 'rng')
    schema.add(`create type ${range} as range (subtype = ${type}, subtype_opclass = ${own}_ops)`)
    return carrierOf(
      callable,
      'range of an operated type',
      (x) => `(lower(${range}(${row('0')}, ${row(x)}))).x`,
      volatility !== 'volatile',
    )
  }
  if (random.chance(0.2)) {
    // Beside it: nothing of the type is operated on.
    const of = () => `(select max(id) from ${table} where id > 0)`
    return {
      feature: 'beside an operated type',
      effect: 'nothing',
      isHarmless: callable.isHarmless && volatility !== 'volatile',
      of,
    }
  }
  if (random.chance(0.1))
    return carrierOf(
      callable,
      'operated type in a view',
      viewOf(schema, `select distinct c from ${table}`),
      volatility !== 'volatile',
    )
  if (random.chance(0.1)) {
    return {
      feature: 'columns of a table',
      effect: 'nothing',
      isHarmless: true,
      of: () => `(select max(id) from ${base})`,
    }
  }
  const [feature, of] = random.pick(ways)
  return carrierOf(callable, `operated type: ${feature}`, of, volatility !== 'volatile')
}

function viewOf(schema: SchemaBuilder, query: string): Carrier['of'] {
  const view = schema.table('opv')
  schema.add(`create view ${view} as ${query}`)
  return () => `(select count(*)::int from ${view})`
}
