import { bare, type Carrier, carrierOf, lie } from './carrier.ts'
import type { Callable } from './functions.ts'
import { literal } from './names.ts'
import type { SchemaBuilder } from './schema-builder.ts'

/** A function that calls it, or a way to call it. */
export function makeCallCarrier(schema: SchemaBuilder, callable: Callable): Carrier {
  const { random, base } = schema
  const { name } = callable
  const make = random.pick<() => Carrier>([
    () => carrierOf(callable, 'call', (x) => `${name}(${x})`),
    () => carrierOf(callable, 'named argument', (x) => `${name}(p => ${x})`),
    () => carrierOf(callable, 'comment in call', (x) => `${name} /* ( */ -- (\n (${x})`),
    () => carrierOf(callable, 'attribute', (x) => `((${x})::int).${bare(name)}`),
    () => carrierOf(callable, 'attribute of a cast', (x) => `(cast(${x} as integer)).${bare(name)}`),
    () =>
      carrierOf(
        callable,
        'attribute of a column',
        () => `(select (q.id).${bare(name)} from ${base} q order by id limit 1)`,
      ),
    () => carrierOf(callable, 'attribute of an element', (x) => `((array[${x}])[1]).${bare(name)}`),
    () => {
      const own = schema.fresh('dflt')
      const volatility = lie(schema, callable)
      schema.add(
        `create function ${own}(p int, q int default ${name}(2)) returns int language sql ${volatility} as 'select p + 0 * q'`,
      )
      return carrierOf(callable, 'default argument', (x) => `${own}(${x})`, volatility !== 'volatile')
    },
    () => {
      const own = schema.fresh('many')
      const volatility = lie(schema, callable)
      schema.add(
        `create function ${own}(variadic p int[]) returns int language sql ${volatility} as $$select ${name}(p[1])$$`,
      )
      return carrierOf(callable, 'variadic', (x) => `${own}(${x}, 7)`, volatility !== 'volatile')
    },
    () => {
      const own = schema.fresh('over')
      schema.add(`create function ${own}(p int) returns int language sql immutable as 'select p'`)
      schema.add(
        `create function ${own}(p text) returns int language sql stable as $$select ${name}(p::int)$$`,
      )
      return carrierOf(callable, 'overload', (x) => `${own}((${x})::text)`)
    },
    () => {
      const own = schema.fresh('any')
      const volatility = lie(schema, callable)
      schema.add(
        `create function ${own}(p anyelement) returns anyelement language plpgsql ${volatility} as $$begin return ${name}(p); end$$`,
      )
      return carrierOf(callable, 'polymorphic', (x) => `((${x})::int).${own}`, volatility !== 'volatile')
    },
    () => {
      const own = schema.fresh('rows')
      const volatility = lie(schema, callable)
      const body = random.pick([
        `setof int language sql ${volatility} as $$select ${name}(p) union all select 0$$`,
        `table (x int) language sql ${volatility} as $$select ${name}(p)$$`,
        `table (x int, y text) language plpgsql ${volatility} as $$begin return query select ${name}(p), 'y'::text; end$$`,
        `setof ${base} language sql ${volatility} as $$select ${name}(p), 1, 'b'::text$$`,
      ])
      schema.add(`create function ${own}(p int) returns ${body}`)
      return carrierOf(
        callable,
        'rows',
        (x) => `(select count(*)::int from ${own}(${x}))`,
        volatility !== 'volatile',
      )
    },
    () => {
      const own = schema.fresh('outs')
      const volatility = lie(schema, callable)
      schema.add(
        `create function ${own}(p int, out x int, out y text) language sql ${volatility} as $$select ${name}(p), 'y'::text$$`,
      )
      const of = random.pick<Carrier['of']>([
        (x) => `(${own}(${x})).x`,
        (x) => `(select x from ${own}(${x}) as o)`,
      ])
      return carrierOf(callable, 'out argument', of, volatility !== 'volatile')
    },
    () => {
      const own = schema.fresh('rowf')
      const volatility = lie(schema, callable)
      const argument = random.pick([base, 'record'])
      const value = argument === 'record' ? '1' : 'p.id'
      schema.add(
        `create function ${own}(p ${argument}) returns int language plpgsql ${volatility} as $$begin return ${name}(${value}); end$$`,
      )
      const of = random.pick([
        () => `(select q.${own} from ${base} q order by q.id limit 1)`,
        () => `(select (q).${own} from ${base} as q order by q.id limit 1)`,
        () => `(select ${own}(q) from ${base} as q order by q.id limit 1)`,
        () => `(select min(q.${own}) from (select * from ${base}) as q)`,
      ])
      return carrierOf(
        callable,
        `row function of ${argument === base ? 'a table' : argument}`,
        of,
        volatility !== 'volatile',
      )
    },
    () => {
      const text = `select ${name}(1)`
      const of = random.pick([
        () => `length(query_to_xml(${literal(text)}, true, false, '')::text)`,
        () => `(select count(*)::int from crosstab(${literal(`select 1, 1, ${name}(2)`)}) as (a int, b int))`,
        () => `(select ndoc from ts_stat(${literal(`select to_tsvector('a') from (select ${name}(1)) q`)}))`,
        () => `length(query_to_xml_and_xmlschema(${literal(text)}, true, false, '')::text)`,
      ])
      if (!schema.statements.includes(TABLEFUNC)) schema.statements.unshift(TABLEFUNC)
      return carrierOf(callable, 'text that runs', of, false)
    },
  ])
  return make()
}

const TABLEFUNC = 'create extension tablefunc'
