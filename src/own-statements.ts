/**
 * A statement that this package sends by itself, and not for the application. It must mean the same whatever the
 * application has set up:
 *
 * - Its answer is parsed here. `pg.types.setTypeParser()` holds for the whole process, and the `types` of a pool for
 *   all its clients.
 * - Its text names everything with its schema: `pg_catalog.now()`, `a operator(pg_catalog.=) b`,
 *   `a::pg_catalog.text`. Otherwise, whoever may create functions in a schema on the path could answer for the server
 *   (CVE-2018-1058). Only what the grammar itself knows needs no schema: `case`, `is null`, `coalesce`, `greatest`,
 *   and types such as `int` and `bit`.
 */
export interface OwnStatement {
  readonly text: string
  readonly values?: readonly unknown[]
  readonly types: { getTypeParser(oid: number): (value: string) => unknown }
}

/** A client whose `query()` takes a statement as `pg`'s does. */
export interface Askable {
  query(statement: OwnStatement): unknown
}

/** Runs a statement of this package's own on a client, and gives its rows. */
export async function askOn<Row>(
  client: Askable,
  text: string,
  values: readonly unknown[] = [],
): Promise<Row[]> {
  const { rows } = (await client.query({ text, values, types: OWN_TYPES })) as { rows: Row[] }
  return rows
}

const OWN_TYPES = { getTypeParser: (oid: number) => PARSERS.get(oid) ?? String }

const isTrue = (value: string) => value === 't'

/**
 * By the oid of a type, which is the same everywhere (https://www.postgresql.org/docs/current/catalog-pg-type.html).
 * Values of other types stay texts.
 */
const PARSERS: ReadonlyMap<number, (value: string) => unknown> = new Map<number, (value: string) => unknown>([
  [16, isTrue], // bool
  [21, Number], // int2
  [23, Number], // int4
  [26, Number], // oid
  [700, Number], // float4
  [701, Number], // float8
  [1000, arrayOf(isTrue)], // bool[]
  [1002, arrayOf(String)], // "char"[]
  [1003, arrayOf(String)], // name[]
  [1005, arrayOf(Number)], // int2[]
  [1007, arrayOf(Number)], // int4[]
  [1009, arrayOf(String)], // text[]
  [1015, arrayOf(String)], // varchar[]
  [1016, arrayOf(String)], // int8[]
  [1028, arrayOf(Number)], // oid[]
])

/** Parses arrays of one dimension (https://www.postgresql.org/docs/current/arrays.html#ARRAYS-IO). */
function arrayOf(parse: (value: string) => unknown): (literal: string) => unknown[] {
  return (literal) => {
    const items: unknown[] = []
    for (const [, quoted, plain = ''] of literal.matchAll(ITEM)) {
      if (quoted !== undefined) items.push(parse(quoted.replaceAll(ESCAPED, '$1')))
      else items.push(plain === 'NULL' ? null : parse(plain))
    }
    return items
  }
}

const ITEM = /[{,](?:"([^"\\]*(?:\\.[^"\\]*)*)"|([^",{}]+))/gs
const ESCAPED = /\\(.)/gs

/** The part of `pg`'s `Client` that holds its time limits, its session's options and the format of its answers. */
interface Limited {
  binary?: boolean
  readonly connectionParameters?: object
}

/**
 * Switches off what the application has set up for its own statements: time limits, and answers in binary. `given` is a
 * client of this package's own, and it must not be connected yet.
 *
 * The configuration cannot do this: there `pg` treats 0 and `false` as not given, and uses `pg.defaults`. The session's
 * options stay, because a proxy may find its server by them. Time limits of zero are appended to them: of two options
 * with one name, PostgreSQL takes the last.
 */
export function withoutApplicationSettings<T extends object>(given: T, queryTimeoutMs = 0): T {
  const client: Limited = given
  client.binary = false
  const parameters = client.connectionParameters as ConnectionParameters | undefined
  if (parameters === undefined) return given
  parameters.query_timeout = queryTimeoutMs
  parameters.statement_timeout = 0
  parameters.lock_timeout = 0
  parameters.idle_in_transaction_session_timeout = 0
  const { options } = parameters
  if (options) {
    const limits = [...options.matchAll(TIMEOUT)].map(([name]) => ` -c ${name.replaceAll('-', '_')}=0`)
    parameters.options = options + limits.join('')
  }
  return given
}

interface ConnectionParameters {
  query_timeout?: number
  statement_timeout?: number
  lock_timeout?: number
  idle_in_transaction_session_timeout?: number
  options?: string
}

/** A time limit among the session's options: `-c name=…`, `-cname=…` or `--name=…`. */
const TIMEOUT =
  /(?<=-c\s*|--)(statement|lock|transaction|idle[_-]in[_-]transaction[_-]session|idle[_-]session)[_-]timeout(?==)/gi
