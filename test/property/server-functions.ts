import type { Carrier } from './carrier.ts'
import type { Effect } from './functions.ts'
import { literal } from './names.ts'
import type { SchemaBuilder } from './schema-builder.ts'

/** The server's own functions that do something. */
export function serverCarriers({ random, sequence }: SchemaBuilder): Carrier[] {
  const s = literal(sequence)
  const all: Carrier[] = [
    serverCarrier('sequence', 'nextval', () => `nextval(${s})::int`),
    serverCarrier('sequence', 'nextval by attribute', () => `(${s}::regclass).nextval::int`),
    serverCarrier('sequence', 'setval', () => `setval(${s}, 50)::int`),
    serverCarrier('lock', 'advisory lock', (x) => `(select count(*)::int from pg_advisory_lock(${x}))`),
    serverCarrier(
      'lock',
      'advisory lock by attribute',
      (x) => `length(((${x})::bigint).pg_advisory_lock::text)`,
    ),
    serverCarrier('local lock', 'local advisory lock', (x) => `length(pg_advisory_xact_lock(${x})::text)`),
    serverCarrier('setting', 'set_config', (x) => `length(set_config('app.who', (${x})::text, false))`),
    serverCarrier(
      'local setting',
      'local set_config',
      (x) => `length(set_config('app.who', (${x})::text, true))`,
    ),
    serverCarrier('notify', 'pg_notify', (x) => `length(pg_notify('channel', (${x})::text)::text)`),
    serverCarrier('write', 'large object', () => `(lo_create(0) > 0)::int`),
    serverCarrier('read', 'transaction id', () => `(txid_current() > 0)::int`),
    serverCarrier('read', 'wal position', () => `(pg_current_wal_lsn() is not null)::int`),
    serverCarrier('read', 'sequence read', () => `(select last_value::int from ${sequence})`),
    serverCarrier('read', 'pg_sequences', () => `(select max(last_value)::int from pg_sequences)`),
    serverCarrier(
      'read',
      'setting read',
      // A session that once had it says '' where another says null; a comparison of texts has no collation in a JSON_TABLE.
      () => `coalesce(length(current_setting('app.who', true)), 0)`,
    ),
    {
      ...{ feature: 'server function', effect: 'nothing', isHarmless: true },
      of: (x) =>
        random.pick([
          `abs(${x})`,
          `length(repeat('a', ${x}))`,
          `(${x} + 1)`,
          `greatest(${x}, 0)`,
          `(${x})::int4`,
        ]),
    },
  ]
  return [...all.filter(() => random.chance(0.5)), ...all.slice(-1), ...all.slice(-1), ...all.slice(-1)]
}

function serverCarrier(effect: Effect, feature: string, of: Carrier['of']): Carrier {
  return { feature, effect, isHarmless: false, of }
}
