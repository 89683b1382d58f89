import { type Carrier, carrierOf, lie } from './carrier.ts'
import type { Callable } from './functions.ts'
import type { SchemaBuilder } from './schema-builder.ts'

/** An aggregate, one of whose functions calls it. */
export function makeAggregateCarrier(schema: SchemaBuilder, callable: Callable): Carrier {
  const { random, base } = schema
  const own = schema.fresh('agg')
  const part = random.pick(['sfunc', 'finalfunc', 'msfunc', 'minvfunc', 'mfinalfunc', 'ordered'] as const)
  const volatility = lie(schema, callable)
  const plain = (name: string, sign: string) =>
    schema.add(
      `create function ${name}(s int, x int) returns int language sql immutable as 'select coalesce(s, 0) ${sign} x'`,
    )
  const calling = (name: string, args: string, value: string) =>
    schema.add(
      `create function ${name}(${args}) returns int language sql ${volatility} as $$select ${value}$$`,
    )
  const called = (value: string) => `${callable.name}(1) * 0 + ${value}`
  const [s, f, m, i] = ['s', 'f', 'm', 'i'].map((suffix) => `${own}_${suffix}`) as [
    string,
    string,
    string,
    string,
  ]
  if (part === 'sfunc') calling(s, 's int, x int', called('coalesce(s, 0) + x'))
  else plain(s, '+')
  const isMoving = part === 'msfunc' || part === 'minvfunc' || part === 'mfinalfunc'
  if (part === 'finalfunc' || part === 'mfinalfunc' || part === 'ordered') calling(f, 's int', called('s'))
  if (isMoving) {
    if (part === 'msfunc') calling(m, 's int, x int', called('coalesce(s, 0) + x'))
    else plain(m, '+')
    if (part === 'minvfunc') calling(i, 's int, x int', called('s - x'))
    else plain(i, '-')
  }
  const final = part === 'finalfunc' || part === 'ordered' ? `, finalfunc = ${f}` : ''
  const moving = isMoving
    ? `, msfunc = ${m}, minvfunc = ${i}, mstype = int${part === 'mfinalfunc' ? `, mfinalfunc = ${f}` : ''}`
    : ''
  const args = part === 'ordered' ? 'order by int' : 'int'
  schema.add(`create aggregate ${own}(${args}) (sfunc = ${s}, stype = int${final}${moving})`)
  const isHarmless = volatility !== 'volatile'
  const window = `(select max(y)::int from (select ${own}(id) over (order by id rows between 1 preceding and current row) as y from ${base}) as q)`
  if (isMoving) return carrierOf(callable, `aggregate's ${part}`, () => window, isHarmless)
  if (part === 'ordered') {
    return carrierOf(
      callable,
      'ordered-set aggregate',
      () => `(select ${own}() within group (order by id) from ${base})`,
      isHarmless,
    )
  }
  const of = random.pick<Carrier['of']>([
    (x) => `(select ${own}(${x}) from ${base})`,
    () => `(select ${own}(distinct id order by id) filter (where id < 3) from ${base})`,
    () => window,
  ])
  return carrierOf(callable, `aggregate's ${part}`, of, isHarmless)
}
