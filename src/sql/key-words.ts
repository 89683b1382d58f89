/**
 * Every key word of PostgreSQL 18, reserved or not (https://www.postgresql.org/docs/current/sql-keywords-appendix.html):
 * what `pg_get_keywords()` gives.
 */
export const KEY_WORDS: ReadonlySet<string> = new Set(
  `
  abort absent absolute access action add admin after aggregate all also alter always analyse analyze and
  any array as asc asensitive assertion assignment asymmetric at atomic attach attribute authorization
  backward before begin between bigint binary bit boolean both breadth by cache call called cascade
  cascaded case cast catalog chain char character characteristics check checkpoint class close cluster
  coalesce collate collation column columns comment comments commit committed compression concurrently
  conditional configuration conflict connection constraint constraints content continue conversion copy
  cost create cross csv cube current current_catalog current_date current_role current_schema current_time
  current_timestamp current_user cursor cycle data database day deallocate dec decimal declare default
  defaults deferrable deferred definer delete delimiter delimiters depends depth desc detach dictionary
  disable discard distinct do document domain double drop each else empty enable encoding encrypted end
  enforced enum error escape event except exclude excluding exclusive execute exists explain expression
  extension external extract false family fetch filter finalize first float following for force foreign
  format forward freeze from full function functions generated global grant granted greatest group
  grouping groups handler having header hold hour identity if ilike immediate immutable implicit import in
  include including increment indent index indexes inherit inherits initially inline inner inout input
  insensitive insert instead int integer intersect interval into invoker is isnull isolation join json
  json_array json_arrayagg json_exists json_object json_objectagg json_query json_scalar json_serialize
  json_table json_value keep key keys label language large last lateral leading leakproof least left level
  like limit listen load local localtime localtimestamp location lock locked logged mapping match matched
  materialized maxvalue merge merge_action method minute minvalue mode month move name names national
  natural nchar nested new next nfc nfd nfkc nfkd no none normalize normalized not nothing notify notnull
  nowait null nullif nulls numeric object objects of off offset oids old omit on only operator option
  options or order ordinality others out outer over overlaps overlay overriding owned owner parallel
  parameter parser partial partition passing password path period placing plan plans policy position
  preceding precision prepare prepared preserve primary prior privileges procedural procedure procedures
  program publication quote quotes range read real reassign recursive ref references referencing refresh
  reindex relative release rename repeatable replace replica reset restart restrict return returning
  returns revoke right role rollback rollup routine routines row rows rule savepoint scalar schema schemas
  scroll search second security select sequence sequences serializable server session session_user set
  setof sets share show similar simple skip smallint snapshot some source sql stable standalone start
  statement statistics stdin stdout storage stored strict string strip subscription substring support
  symmetric sysid system system_user table tables tablesample tablespace target temp template temporary
  text then ties time timestamp to trailing transaction transform treat trigger trim true truncate trusted
  type types uescape unbounded uncommitted unconditional unencrypted union unique unknown unlisten
  unlogged until update user using vacuum valid validate validator value values varchar variadic varying
  verbose version view views virtual volatile when where whitespace window with within without work
  wrapper write xml xmlattributes xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi
  xmlroot xmlserialize xmltable year yes zone
`
    .trim()
    .split(/\s+/),
)

/**
 * Those of them that a parenthesis may follow without being a call of a function that anybody could have made: the reserved
 * ones, and those whose syntax is PostgreSQL's own.
 */
export const NEVER_CALLED: ReadonlySet<string> = new Set(
  `
  all analyse analyze and any array as asc asymmetric between bigint bit boolean both case cast char
  character check coalesce collate column constraint create current_catalog current_date current_role
  current_time current_timestamp current_user dec decimal default deferrable desc distinct do else end
  except exists extract false fetch float for foreign from grant greatest group grouping having in
  initially inout int integer intersect interval into json json_array json_arrayagg json_exists
  json_object json_objectagg json_query json_scalar json_serialize json_table json_value lateral leading
  least limit localtime localtimestamp merge_action national nchar none normalize not null nullif numeric
  offset on only or order out overlay placing position precision primary real references returning row
  select session_user setof smallint some substring symmetric system_user table then time timestamp to
  trailing trim true union unique user using values varchar variadic when where window with xmlattributes
  xmlconcat xmlelement xmlexists xmlforest xmlnamespaces xmlparse xmlpi xmlroot xmlserialize xmltable
`
    .trim()
    .split(/\s+/),
)

/**
 * Those that name no relation, unless they stand in quotes or behind a dot: the reserved ones, and those that may name functions and
 * types only. Not `system_user`, which is none before PostgreSQL 16.
 */
export const RESERVED: ReadonlySet<string> = new Set(
  `
  all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
  collation column concurrently constraint create cross current_catalog current_date current_role
  current_schema current_time current_timestamp current_user default deferrable desc distinct do else end
  except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into
  is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on
  only or order outer overlaps placing primary references returning right select session_user similar some
  symmetric table tablesample then to trailing true union unique user using variadic verbose when where
  window with
`
    .trim()
    .split(/\s+/),
)

/**
 * Those that could name a function of somebody's as well, and that are syntax before a parenthesis in a read: behind
 * something that they go on with. Not `first` and `next`, which only behind `fetch` are no calls.
 */
export const INFIX_WORDS: ReadonlySet<string> = new Set(
  `
  by columns escape filter groups ilike join like materialized over overlaps passing path range recursive repeatable
  rows second sets value varying zone
`
    .trim()
    .split(/\s+/),
)

/**
 * The same wherever they stand. `treat` is not among them: it calls the function of `pg_catalog` that is named like the
 * type.
 */
export const PREFIX_WORDS: ReadonlySet<string> = new Set([
  'content',
  'cube',
  'document',
  'operator',
  'rollup',
])

/** The same in what is known to write. */
export const WRITE_WORDS: ReadonlySet<string> = new Set(['conflict', 'insert', 'set'])

/** The words with which statements begin that read, unless something in them does more. */
export const READS: ReadonlySet<string> = new Set(['select', 'values', 'table', 'with', 'show'])

/** Those that have no effect at all where the server refuses them. */
export const CHANGES: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge'])

/** Those of them that have no effect where they affect no row. */
export const ROWLESS: ReadonlySet<string> = new Set(['update', 'delete', 'merge'])

/** Those with which a parenthesis of `explain` holds the statement instead of options. */
export const EXPLAINED: ReadonlySet<string> = new Set([...READS, ...CHANGES])

/** Those of them that can be nothing else. */
export const SURELY_EXPLAINED: ReadonlySet<string> = new Set(['select', 'table', 'with'])

/** Those that are about the session, and may write or run what writes. */
export const ACTIVE: ReadonlySet<string> = new Set([
  'commit',
  'declare',
  'end',
  'execute',
  'fetch',
  'load',
  'move',
])

/** Those that are about the session or its transaction. */
export const SESSION_VERBS: ReadonlySet<string> = new Set(
  `
  abort begin checkpoint close commit deallocate declare discard end execute fetch listen load lock move notify
  prepare release reset rollback savepoint set start unlisten
`
    .trim()
    .split(/\s+/),
)

/** Those that end the list of a `from`. */
const ENDS_FROM = `do except fetch for group having intersect limit offset order returning select union where window`

/** Those that may call an operator or a cast without a sign of it, a cast to `boolean` among them. */
const OPERATING = `
  all and any at between case distinct except group having ilike in intersect is like natural not on or order overlaps
  partition similar some symmetric union using values when where
`

/** Those before a parenthesis or a string that call and cast nothing there. */
const PLAIN_BEFORE = `array as exists from lateral only select table`

/** Those that mean something by where they stand. */
const TELLING = `
  delete distinct from insert into join lateral merge on only recursive select share table update using values with
`

/** What is to be known of a word, as bits: one look-up per word of a text tells all of it. */
export const MARK = {
  keyWord: 1,
  neverCalled: 2,
  reserved: 4,
  plainBefore: 8,
  /** These three say what is to be done where the word is read. */
  telling: 16,
  endsFrom: 32,
  operating: 64,
} as const

const marks = new Map<string, number>()
mark(KEY_WORDS, MARK.keyWord)
mark(NEVER_CALLED, MARK.neverCalled)
mark(RESERVED, MARK.reserved)
mark(TELLING.trim().split(/\s+/), MARK.telling)
mark(ENDS_FROM.split(' '), MARK.endsFrom)
mark(OPERATING.trim().split(/\s+/), MARK.operating)
mark(PLAIN_BEFORE.split(' '), MARK.plainBefore)

function mark(words: Iterable<string>, bit: number): void {
  for (const word of words) marks.set(word, (marks.get(word) ?? 0) | bit)
}

/** What is to be known of a word without quotes; 0 where it is no key word. */
export function marksOf(word: string): number {
  return marks.get(word) ?? 0
}
