import type { Carrier } from './carrier.ts'
import { OF_SESSION } from './functions.ts'
import { literal } from './names.ts'
import type { SchemaBuilder } from './schema-builder.ts'

/** Something to read, with the columns id and a; some of it can be written to as well. */
export interface Relation {
  readonly name: string
  readonly feature: string
  /** Whether reading it does nothing, calls nothing that is declared volatile, and can be done by a replica. */
  readonly isHarmless: boolean
  readonly isWritable: boolean
  /** Whether using it may leave something in the session. */
  readonly isOfSession: boolean
}

/** Tables, views and what stands between: each may call one of the carriers. */
export function makeRelations(schema: SchemaBuilder, carriers: readonly Carrier[]): Relation[] {
  const { random, base } = schema
  const relations: Relation[] = [relation(base, 'table', true, true)]
  // A view's own carrier may be about the columns of what it reads.
  const carrier = () =>
    random.pick(random.chance(0.6) ? carriers : carriers.filter(({ isHarmless }) => isHarmless))
  const makers = [
    makeView,
    makeView,
    makeView,
    makePolicyTable,
    makeTriggerTable,
    makeRuleTable,
    makeChildren,
    makeMaterialized,
    makeColumns,
  ]
  for (let count = 0; count < 9; count++) relations.push(random.pick(makers)(schema, carrier(), relations))
  return relations
}

type Make = (schema: SchemaBuilder, carrier: Carrier, relations: readonly Relation[]) => Relation

function relation(
  name: string,
  feature: string,
  isHarmless: boolean,
  isWritable: boolean,
  carrier?: Carrier,
): Relation {
  const isOfSession = carrier !== undefined && OF_SESSION.has(carrier.effect)
  return { name, feature, isHarmless, isWritable, isOfSession }
}

const makeView: Make = (schema, carrier, relations) => {
  const { random, base } = schema
  const name = schema.table('v')
  const other = random.chance(0.3) ? random.pick(relations) : undefined
  const from = other?.name ?? base
  const x = carrier.of('id')
  const query = random.pick([
    `select id, ${x} as a from ${from}`,
    `select id, a from ${from} where ${x} is not null`,
    `with c as materialized (select ${carrier.of('1')} as y) select id, a from ${from}, c`,
    `select id, a from ${from} union all select 9, ${carrier.of('2')}`,
    `select id, a from ${from} where exists (select 1 where ${x} > -1000)`,
  ])
  const options = random.pick(['', '', ' with (security_barrier)', ' with (security_invoker)'])
  schema.add(`create view ${name}${options} as ${query}`)
  const isHarmless = carrier.isHarmless && (other?.isHarmless ?? true)
  const feature = `${other === undefined ? 'view' : `view over ${other.feature}`} of ${carrier.feature}`
  const made = relation(name, feature, isHarmless, false, carrier)
  return other?.isOfSession ? { ...made, isOfSession: true } : made
}

const makePolicyTable: Make = (schema, carrier) => {
  const name = schema.table('rls')
  schema.add(`create table ${name} (id int, a int)`)
  schema.add(`insert into ${name} values (1, 1), (2, 2)`)
  schema.add(`alter table ${name} enable row level security`)
  const check = schema.random.chance(0.5) ? ` with check (${carrier.of('a')} is not null)` : ''
  schema.add(`create policy p on ${name} using (${carrier.of('id')} is not null)${check}`)
  return relation(name, `policy of ${carrier.feature}`, carrier.isHarmless, true, carrier)
}

const makeTriggerTable: Make = (schema, carrier) => {
  const { random } = schema
  const name = schema.table('trg')
  const own = schema.fresh('trgf')
  schema.add(`create table ${name} (id int, a int)`)
  schema.add(`insert into ${name} values (1, 1), (2, 2)`)
  const [when, each, end] = random.pick([
    ['before', 'row', 'return new'],
    ['before', 'row', 'return null'],
    ['after', 'row', 'return null'],
    ['before', 'statement', 'return null'],
    ['after', 'statement', 'return null'],
  ] as const)
  schema.add(
    `create function ${own}() returns trigger language plpgsql as $t$begin perform ${carrier.of('1')}; ${end}; end$t$`,
  )
  schema.add(
    `create trigger ${schema.fresh('trigger')} ${when} insert or update on ${name} for each ${each} execute function ${own}()`,
  )
  return relation(name, `trigger (${when} ${each}, ${end}) of ${carrier.feature}`, true, true, carrier)
}

const makeRuleTable: Make = (schema, carrier) => {
  const { random, log } = schema
  const name = schema.table('rul')
  schema.add(`create table ${name} (id int, a int)`)
  schema.add(`insert into ${name} values (1, 1), (2, 2)`)
  const action = random.pick([
    'do instead nothing',
    `do also insert into ${log} (what) values ('rule')`,
    `do instead insert into ${log} (what) values ('rule')`,
    `do also select ${carrier.of('1')}`,
  ])
  schema.add(`create rule ${schema.fresh('rule')} as on update to ${name} ${action}`)
  if (random.chance(0.5)) schema.add(`create rule ${schema.fresh('rule')} as on delete to ${name} ${action}`)
  return relation(name, `rule: ${action.slice(0, 24)}`, true, true, carrier)
}

const makeChildren: Make = (schema) => {
  const { random } = schema
  const name = schema.table('par')
  const unlogged = random.chance(0.4)
  const child = schema.fresh('child')
  if (random.chance(0.5)) {
    schema.add(`create table ${name} (id int, a int) partition by range (id)`)
    schema.add(`create table ${child} partition of ${name} for values from (0) to (100)`)
    schema.add(
      `create ${unlogged ? 'unlogged ' : ''}table ${schema.fresh('child')} partition of ${name} default`,
    )
  } else {
    schema.add(`create table ${name} (id int, a int)`)
    schema.add(`create ${unlogged ? 'unlogged ' : ''}table ${child} (c text) inherits (${name})`)
  }
  schema.add(`insert into ${name} values (1, 1), (2, 2), (200, 3)`)
  return relation(name, unlogged ? 'parent of unlogged' : 'parent', !unlogged, true)
}

const makeMaterialized: Make = (schema, carrier) => {
  const name = schema.table('mat')
  // Its query runs now, and when it is refreshed.
  schema.add(
    `create materialized view ${name} as select id, ${carrier.effect === 'rewrap' ? 'a' : carrier.of('id')} as a from ${schema.base}`,
  )
  return relation(name, 'materialized view', true, false)
}

const makeColumns: Make = (schema, carrier) => {
  const { random } = schema
  const name = schema.table('col')
  const kind = schema.fresh('kind')
  schema.add(`create type ${kind} as enum ('a', 'b', ${literal(random.pick(["it's", 'order', 'C']))})`)
  const column = random
    .pick([
      `b int default ${carrier.effect === 'nothing' ? carrier.of('1') : '1'}`,
      `b int generated always as (a * 2) stored`,
      `b int generated always as identity`,
      `b serial`,
      'b text[]',
    ])
    .replace(/\(select.*$/s, '1')
  schema.add(
    `create table ${name} (id int, a int, k ${kind} default 'a', r int4range, j jsonb default '{}', ${column})`,
  )
  schema.add(`insert into ${name} (id, a) values (1, 1), (2, 2)`)
  return relation(name, 'table of many columns', true, true)
}
