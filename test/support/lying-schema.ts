import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import pg from 'pg'
import type { PostgresCluster } from 'write-pinning/testing'

/**
 * A search path for a cluster in which the schema `lying` comes first. Until that schema exists, `public` comes
 * first.
 */
export const LYING_PATH = 'lying, public, pg_catalog'

/** A schema that comes before `pg_catalog`, and the texts that called something of it. */
export interface LyingSchema extends Disposable {
  readonly callers: readonly string[]
}

/**
 * Makes the schema `lying` in every database of a cluster. For nearly each function, operator, type and relation of
 * PostgreSQL, it has one with the same name and the same arguments. Each of them writes down the text that called it,
 * also on a replica, and fails.
 */
export async function makeLyingSchema(cluster: PostgresCluster): Promise<LyingSchema> {
  const directory = mkdtempSync(path.join(tmpdir(), 'lying-'))
  // The servers may run as another user.
  chmodSync(directory, 0o777)
  const { host, port } = cluster.primary
  for (const database of ['postgres', 'test']) {
    const options = '-c search_path=pg_catalog -c check_function_bodies=off'
    const client = new pg.Client({ host, port, user: 'postgres', database, options })
    await client.connect()
    await client.query(schemaThatWritesTo(directory))
    await client.end()
  }
  await cluster.waitForCatchup()
  return {
    get callers() {
      return readdirSync(directory).map((file) => readFileSync(path.join(directory, file), 'utf8').trim())
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  }
}

/** Leaves out what cannot be made because of a pseudo-type. */
const schemaThatWritesTo = (directory: string) => `
create schema lying;
create function lying.write_down() returns bool language plpgsql set search_path = pg_catalog as $$
begin
  execute format('copy (select %L) to %L', current_query(), '${directory}/' || gen_random_uuid());
  raise exception 'led astray: %', current_query();
end $$;
do $do$
declare
  each record;
begin
  for each in select oid, proname, proretset, prorettype, proargtypes from pg_proc
    where pronamespace = 'pg_catalog'::regnamespace and prokind in ('f', 'a')
  loop
    begin
      execute format('create function lying.%I(%s) returns %s %s language plpgsql as
        $$ begin perform lying.write_down(); end $$', each.proname,
        (select string_agg(format_type(type, null), ', ' order by at) from unnest(each.proargtypes) with ordinality as a (type, at)),
        case when each.proretset then 'setof' else '' end, format_type(each.prorettype, null));
    exception when others then null;
    end;
  end loop;
  for each in select oprname, oprleft, oprright, oprresult from pg_operator where oprnamespace = 'pg_catalog'::regnamespace
  loop
    begin
      execute format('create function lying.%I(%s) returns %s language plpgsql as
        $$ begin perform lying.write_down(); end $$', 'operator ' || each.oprname,
        concat_ws(', ', case when each.oprleft <> 0 then format_type(each.oprleft, null) end, format_type(each.oprright, null)),
        format_type(each.oprresult, null));
      execute format('create operator lying.%s (%s rightarg = %s, function = lying.%I)', each.oprname,
        case when each.oprleft <> 0 then 'leftarg = ' || format_type(each.oprleft, null) || ', ' else '' end,
        format_type(each.oprright, null), 'operator ' || each.oprname);
    exception when others then null;
    end;
  end loop;
  for each in select typname from pg_type where typnamespace = 'pg_catalog'::regnamespace and typtype = 'b' and typname !~ '^_'
  loop
    execute format('create domain lying.%I as pg_catalog.%1$I check (lying.write_down())', each.typname);
  end loop;
  for each in select relname from pg_class where relnamespace = 'pg_catalog'::regnamespace and relkind in ('r', 'v')
  loop
    begin
      execute format('create view lying.%I as select * from pg_catalog.%1$I where lying.write_down()', each.relname);
    exception when others then null;
    end;
  end loop;
end $do$`
