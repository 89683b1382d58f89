/**
 * Every key word of PostgreSQL 18, reserved or not: what `pg_get_keywords()` gives
 * (https://www.postgresql.org/docs/current/sql-keywords-appendix.html).
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
 * Key words before a parenthesis that never call a function of the application: the reserved ones, and those with a
 * syntax of PostgreSQL's own.
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
 * Key words that cannot name a relation, unless they are quoted or follow a dot: the reserved ones, and those that
 * may name functions and types only. `system_user` is left out: it is no key word before PostgreSQL 16.
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
 * Key words that may also name a function. In a read, such a word before a parenthesis is syntax if it continues what
 * stands before it, as in `sum(x) over (…)`. Otherwise it is a call. `first` and `next` are left out: they are calls,
 * unless `fetch` comes before them.
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
 * Key words that may also name a function, but are syntax before every parenthesis in a read. `treat` is left out: it
 * calls the function of `pg_catalog` that is named like the type.
 */
export const PREFIX_WORDS: ReadonlySet<string> = new Set([
  'content',
  'cube',
  'document',
  'operator',
  'rollup',
])

/**
 * Key words that may also name a function, but are syntax before every parenthesis in a text that is known to write.
 */
export const WRITE_WORDS: ReadonlySet<string> = new Set(['conflict', 'insert', 'set'])

/** First words of statements that read, unless something in them does more. */
export const READS: ReadonlySet<string> = new Set(['select', 'values', 'table', 'with', 'show'])

/** First words of statements that have no effect at all if the server refuses them. */
export const CHANGES: ReadonlySet<string> = new Set(['insert', 'update', 'delete', 'merge'])

/** Those of {@link CHANGES} that have no effect if they affect no row. */
export const NEEDS_ROWS: ReadonlySet<string> = new Set(['update', 'delete', 'merge'])

/** First words in a parenthesis after `explain` that show that the parenthesis holds the statement, not options. */
export const EXPLAINED: ReadonlySet<string> = new Set([...READS, ...CHANGES])

/** Those of {@link EXPLAINED} that cannot name an option. */
export const SURELY_EXPLAINED: ReadonlySet<string> = new Set(['select', 'table', 'with'])

/** First words of statements about the session that may write, or run something that writes. */
export const MAY_WRITE_VERBS: ReadonlySet<string> = new Set([
  'commit',
  'declare',
  'end',
  'execute',
  'fetch',
  'load',
  'move',
])

/** First words of statements about the session or its transaction. */
export const SESSION_VERBS: ReadonlySet<string> = new Set(
  `
  abort begin checkpoint close commit deallocate declare discard end execute fetch listen load lock move notify
  prepare release reset rollback savepoint set start unlisten
`
    .trim()
    .split(/\s+/),
)

/** Words that end the list of a `from`. */
const ENDS_FROM = `do except fetch for group having intersect limit offset order returning select union where window`

/** Words that may run an operator or a cast although the text shows no sign of one. A cast to `boolean` counts, too. */
const MAY_OPERATE = `
  all and any at between case distinct except group having ilike in intersect is like natural not on or order overlaps
  partition similar some symmetric union using values when where
`

/** Words before a parenthesis or a string that make neither a call nor a cast. */
const PLAIN_BEFORE = `array as exists from lateral only select table`

/** Words at which the reader has something to do. */
const HANDLED = `
  delete distinct from insert into join lateral merge on only recursive select share table update using values with
`

/** What the reader needs to know of a word, as bits: one look-up per word gives all of it. */
export const FLAG = {
  keyWord: 1,
  neverCalled: 2,
  reserved: 4,
  plainBefore: 8,
  /** The words with this bit or a higher one are handled by the reader when it meets them. */
  handled: 16,
  endsFrom: 32,
  mayOperate: 64,
} as const

const flags = new Map<string, number>()
setFlag(KEY_WORDS, FLAG.keyWord)
setFlag(NEVER_CALLED, FLAG.neverCalled)
setFlag(RESERVED, FLAG.reserved)
setFlag(HANDLED.trim().split(/\s+/), FLAG.handled)
setFlag(ENDS_FROM.split(' '), FLAG.endsFrom)
setFlag(MAY_OPERATE.trim().split(/\s+/), FLAG.mayOperate)
setFlag(PLAIN_BEFORE.split(' '), FLAG.plainBefore)

function setFlag(words: Iterable<string>, bit: number): void {
  for (const word of words) flags.set(word, (flags.get(word) ?? 0) | bit)
}

/** The bits of {@link FLAG} for a word without quotes; 0 if it is no key word. */
export function flagsOf(word: string): number {
  return flags.get(word) ?? 0
}
