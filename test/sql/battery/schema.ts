/** What the statements of the battery are about. `:primary` stands for how one server reaches the primary. */
export const SCHEMA = `
create extension dblink;
create extension postgres_fdw;
create extension pgcrypto;
create extension "uuid-ossp";
create extension tablefunc;
create extension pg_trgm;
create extension hstore;
create extension citext;
create extension unaccent;
create extension pg_prewarm;
create extension tsm_system_rows;
create extension pgrowlocks;

create table item (id serial primary key, name text not null, price numeric(10, 2) default 1, tags text[], data jsonb);
create table audit (id serial primary key, note text);
create table session (sid text primary key, data text);
create table "Order Line" ("Item Id" int, quantity int);
create table secret (id int);
create unlogged table scratch (id int);
create table part (id int) partition by range (id);
create table part_1 partition of part for values from (0) to (1000);
create sequence counter;
insert into item (name) values ('one'), ('two'), ('three');

create schema app;
create function log_access(what text) returns int language sql as $$ insert into audit (note) values (what) returning id $$;
create function app.log_access(what text) returns int language sql as $$ select public.log_access(what) $$;
create function app.next_number() returns bigint language sql as $$ select nextval('public.counter') $$;
create function "Log Access"() returns int language sql as $$ select log_access('quoted') $$;
create function refresh(what text) returns int language sql as $$ select log_access(what) $$;
create function plain_volatile(n int) returns int language sql as $$ select n $$;
create function plain_stable(n int) returns int language sql stable as $$ select n $$;
create function plain_immutable(n int) returns int language sql immutable as $$ select n $$;
create function app.total(n int) returns int language sql stable as $$ select n $$;
create function overloaded(n int) returns int language sql immutable as $$ select n $$;
create function overloaded(what text) returns int language sql as $$ select log_access(what) $$;
create function app.format(what text) returns int language sql as $$ select public.log_access(what) $$;
create function app.pg_advisory_xact_lock_shared(what text) returns int language sql as $$ select public.log_access(what) $$;
create function app.uuidv4(what text) returns int language sql as $$ select public.log_access(what) $$;
create function item_seen(item) returns int language sql as $$ select log_access('seen') $$;
create function item_title(item) returns text language sql stable as $$ select upper($1.name) $$;
create function anything_seen(anyelement, times int = 1) returns int language sql as $$ select log_access('any') $$;
create function lock_then_write() returns int language plpgsql as $$
begin perform pg_advisory_lock(77); return log_access('locked'); end $$;
create function swallow() returns int language plpgsql as $$
begin return log_access('x'); exception when others then return -1; end $$;
create function items() returns setof item language sql stable as $$ select * from item $$;
create function says_stable() returns int language sql stable as $$ select pg_advisory_lock(78); select 1 $$;
create function next_stable() returns bigint language sql stable as $$ select nextval('counter') $$;
create domain checked as int check (log_access('checked') > -1);
create procedure work(what text) language sql as $$ insert into audit (note) values (what) $$;
create function add_logged(a int, b int) returns int language sql as $$ select a + b + log_access('sum') * 0 $$;
create aggregate sum_logged(int) (sfunc = add_logged, stype = int, initcond = '0');
create function add_plain(a int, b int) returns int language sql immutable as $$ select a + b $$;
create aggregate sum_plain(int) (sfunc = add_plain, stype = int, initcond = '0');
create operator @@@ (leftarg = int, rightarg = int, function = add_logged);
create operator @+@ (leftarg = int, rightarg = int, function = add_plain);
create type mark as (n int);
create function mark(what text) returns mark language sql as $$ select row(log_access(what))::mark $$;
create cast (text as mark) with function mark(text);

create view plain_view as select id, name from item;
create view next_view as select nextval('counter') as n;
create view over_next_view as select n + 1 as n from next_view;
create view "Third View" as select * from over_next_view;
create view locked_view as select * from item for update;
create view random_view as select random() as r;
create materialized view kept as select nextval('counter') as n;
alter table secret enable row level security;
create policy watched on secret using (log_access('secret') > 0);
create view secret_view as select * from secret;

create server loopback foreign data wrapper postgres_fdw options (:fdw);
create user mapping for public server loopback options (user 'postgres');
create foreign table far_item (id int, name text) server loopback options (table_name 'item');
create foreign table far_next (n bigint) server loopback options (table_name 'next_view');
create view far_view as select * from far_next;
create table near (id int, name text);
create foreign table near_far () inherits (near) server loopback options (table_name 'item');
create view scratch_view as select * from scratch;
`
