import { FUNCTION_NAMES, quoted, SERVER_NAMES } from './names.ts'
import type { SchemaBuilder } from './schema-builder.ts'

/** What a function does when it is called. */
export type Effect =
  | 'nothing'
  | 'read' // it reads a table, although it may be declared volatile
  | 'write' // it inserts a row
  | 'update' // it updates rows, if there are any
  | 'sequence'
  | 'lock' // an advisory lock of the session
  | 'local lock' // one of the transaction
  | 'setting' // one of the session
  | 'local setting'
  | 'notify'
  | 'swallow' // it writes, and says -99 where it cannot
  | 'rewrap' // it writes, and fails by an error of its own where it cannot
  | 'dynamic' // it writes by a text that it makes

/** A function from int to int that gives its argument back. */
export interface Callable {
  /** As SQL writes it. */
  readonly name: string
  readonly effect: Effect
  readonly isVolatile: boolean
  /** Whether it does nothing, and is declared so. */
  readonly isHarmless: boolean
}

const EFFECTS: readonly Effect[] = [
  ...(['write', 'write', 'swallow', 'swallow', 'rewrap', 'rewrap', 'sequence', 'update', 'lock'] as const),
  ...(['local lock', 'setting', 'local setting', 'notify', 'dynamic', 'read', 'nothing'] as const),
]

export const OF_SESSION: ReadonlySet<Effect> = new Set(['lock', 'setting'])

/** Makes a function that does something, or nothing; half of them do it through others. */
export function makeCallable(schema: SchemaBuilder, wanted?: Effect): Callable {
  const { random } = schema
  const effect = wanted ?? random.pick(EFFECTS)
  const direct = define(schema, effect)
  if (effect === 'nothing' || random.chance(0.5)) return direct
  return through(schema, direct)
}

/** A function that only computes or reads, and is declared so. */
export function makeHarmless(schema: SchemaBuilder): Callable {
  const name = nameOf(schema)
  const volatility = schema.random.pick(['stable', 'immutable'])
  const body = schema.random.pick([
    `language sql ${volatility} as 'select p'`,
    `language plpgsql ${volatility} as $$begin return p; end$$`,
    `language sql stable as 'select p + 0 * count(*)::int from ${schema.base.replaceAll("'", "''")}'`,
    `language sql ${volatility} return p`,
    `language sql ${volatility} parallel safe strict begin atomic select p; end`,
  ])
  schema.add(`create function ${name}(p int) returns int ${body}`)
  return { name, effect: 'nothing', isVolatile: false, isHarmless: true }
}

function define(schema: SchemaBuilder, effect: Effect): Callable {
  const { random, log, sequence, base } = schema
  const name = nameOf(schema)
  const insert = `insert into ${log} (what) values (${schema.text(effect)})`
  const bodies: Record<Effect, readonly string[]> = {
    nothing: ['null'],
    read: [`perform count(*) from ${base}`],
    write: [
      insert,
      `with x as (${insert} returning 1) select count(*) into r from x`,
      `execute ${dollars(insert)}`,
    ],
    update: [`update ${base} set a = a + 1 where id = p`, `delete from ${log} where id = p`],
    sequence: [
      `perform nextval(${schema.literalOf(sequence)})`,
      `perform setval(${schema.literalOf(sequence)}, p + 40)`,
    ],
    lock: ['perform pg_advisory_lock(p)', 'perform pg_advisory_lock_shared(p, 1)'],
    'local lock': ['perform pg_advisory_xact_lock(p)'],
    setting: [`perform set_config('app.who', p::text, false)`, `set work_mem = '5MB'`],
    'local setting': [`perform set_config('app.who', p::text, true)`, `set local work_mem = '5MB'`],
    notify: [`perform pg_notify('channel', p::text)`, 'notify channel'],
    swallow: [`begin ${insert}; exception when others then return -99; end`],
    rewrap: [
      `begin ${insert}; exception when others then raise exception 'audit failed: %', sqlerrm; end`,
      `begin ${insert}; exception when others then raise exception 'no such item' using errcode = '42P01'; end`,
    ],
    dynamic: [`execute 'insert into ' || ${schema.literalOf(log)} || ' (what) values ($1)' using p::text`],
  }
  const definer = random.chance(0.15) ? ' security definer' : ''
  schema.add(
    `create function ${name}(p int) returns int language plpgsql volatile${definer} as $f$declare r int; begin ${random.pick(bodies[effect])}; return p; end$f$`,
  )
  return { name, effect, isVolatile: true, isHarmless: false }
}

/** Another function that calls it; PostgreSQL lets one that is declared stable call one that is volatile. */
function through(schema: SchemaBuilder, inner: Callable): Callable {
  const name = nameOf(schema)
  const { random } = schema
  // Never immutable: that would be called while planning, and as often as PostgreSQL plans.
  const volatility = random.pick(['volatile', 'stable', 'stable'])
  const call = `${inner.name}(p)`
  const quotedCall = call.replaceAll("'", "''")
  const body = random.pick([
    `language sql ${volatility} as '${`select ${quotedCall}`}'`,
    `language sql ${volatility} return ${call}`,
    `language sql ${volatility} begin atomic select ${call}; end`,
    `language plpgsql ${volatility} as $f$begin return ${call}; end$f$`,
    `language plpgsql ${volatility} as $f$declare r int; begin execute ${dollars(`select ${inner.name}($1)`)} into r using p; return r; end$f$`,
  ])
  schema.add(`create function ${name}(p int) returns int ${body}`)
  return { ...inner, name, isVolatile: volatility === 'volatile' }
}

function dollars(text: string): string {
  return `$q$${text}$q$`
}

function nameOf(schema: SchemaBuilder): string {
  const { random } = schema
  if (random.chance(0.4)) return schema.fresh('f')
  // In one of thirty schemas or so there is a function called like one of the server's, and called as often as any.
  const name = schema.unused(random.chance(0.005) ? SERVER_NAMES : FUNCTION_NAMES)
  return /^[a-z_]+$/.test(name) && !KEY_WORDS.has(name) ? name : `public.${quoted(name)}`
}

const KEY_WORDS = new Set([
  'select',
  'order',
  'left',
  'right',
  'insert',
  'update',
  'delete',
  'values',
  'lock',
  'notify',
  'copy',
  'repeat',
  'replace',
  'lower',
  'length',
  'name',
  'value',
])
