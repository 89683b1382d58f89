import { describe, expect, it } from 'vitest'
import { LeftInSession } from '../../src/routing/left-in-session.ts'
import { StatementClassifier } from '../../src/sql/classifier.ts'

const classifier = new StatementClassifier({
  primaryTables: [],
  unpinnedTables: [],
  primaryFunctions: ['charge'],
  replicaFunctions: [],
})
const left = new LeftInSession()
const leftBy = (text: string) => left.of(classifier.classify(text), text)

describe('what only its session has is left by', () => {
  it.each([
    'listen news',
    'prepare one as select 1',
    'create temporary table basket (id int)',
    'create or replace temp view basket as select 1',
    'create table pg_temp.basket (id int)',
    'select 1 as id into temporary basket',
    'declare all_items cursor with hold for select 1',
    "load 'auto_explain'",
    'call do_anything()',
    'select charge(1)',
    'select * from (select charge(1)) as it',
    'do $$ begin perform pg_advisory_lock(1); end $$',
    "do $$ begin execute 'set search_path to x'; end $$",
    'do $$ begin set search_path to x; end $$',
    "insert into item (name) values ('a'); listen news",
    "select set_config('app.a', '1', false), pg_advisory_lock(1)",
    'select pg_advisory_lock(1); listen news',
    "select 'not closed",
  ])('%s', (text) => {
    expect(leftBy(text)).toBe('bound')
  })
})

describe('a lock, and nothing else, is left by', () => {
  it.each([
    'select pg_advisory_lock(1)',
    'SELECT "pg_advisory_lock"(1)',
    'select pg_catalog.pg_advisory_lock_shared(1, 2)',
    'select pg_try_advisory_lock(1)',
    'select pg_advisory_lock(1), pg_advisory_unlock(1)',
    "select 1; select pg_advisory_lock(1); update item set name = 'b'",
    'insert into item (id) select 1 where pg_try_advisory_lock(1)',
    'discard all; select pg_advisory_lock(1)',
    'select (7::bigint).pg_advisory_lock',
    'select length(((2)::bigint).pg_advisory_lock::text)',
  ])('%s', (text) => {
    expect(leftBy(text)).toBe('lock')
  })
})

describe('a setting is left by', () => {
  it.each([
    "set timezone = 'UTC'",
    'set session statement_timeout = 1',
    'set session characteristics as transaction read only',
    'set role reader',
    "select set_config('app.tenant', '1', false)",
    "select set_config('app.tenant', $1, $2)",
    "SET client_min_messages TO warning;SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE;",
    "insert into item (name) values ('a'); set search_path to x",
  ])('%s', (text) => {
    expect(leftBy(text)).toBe('setting')
  })
})

describe('nothing is left by', () => {
  it.each([
    'select 1',
    "select 'set role x'",
    'select 1; select 2',
    "insert into item (name) values ('set'), ('listen')",
    "insert into item (name) values ('lamp') returning *",
    "update item set name = 'x', id = 2 where id in (select max(id) from item)",
    "update item set name = 'x'; delete from item",
    'create table basket (id int)',
    'create index concurrently on item (name)',
    'drop table basket',
    'select * from item for update',
    "select nextval('item_id_seq')",
    'select txid_current()',
    'select pg_advisory_xact_lock(1)',
    'select pg_advisory_unlock(1)',
    'set local statement_timeout = 1',
    'set transaction read only',
    'set constraints all deferred',
    "select set_config('app.tenant', '1', true)",
    'declare some_items cursor for select 1',
    'declare some_items cursor without hold for select 1',
    'fetch all from some_items',
    'notify news',
    'lock table item',
    'begin',
    'commit',
    'savepoint a',
    "prepare transaction 'a'",
    "do $$ begin insert into item (name) values ('a'); update item set name = 'b'; end $$",
    'vacuum item',
    'reset all',
    'deallocate all',
    '',
  ])('%s', (text) => {
    expect(leftBy(text)).toBe('nothing')
  })
})

it('all is cleared by discard all', () => {
  expect(leftBy('discard all')).toBe('cleared')
  expect(leftBy('DISCARD ALL;')).toBe('cleared')
  expect(leftBy('discard plans')).toBe('nothing')
})
