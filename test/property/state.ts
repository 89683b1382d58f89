import type pg from 'pg'

/** What is durable in a database: a text per thing, by its name. */
export interface State {
  /** Changes with every write, even one that gives a row the same values. */
  readonly versions: ReadonlyMap<string, string>
  /** The same values make the same text, in whatever database. */
  readonly contents: ReadonlyMap<string, string>
}

/** Looks at what a database has, over a client of a superuser. */
export class StateReader {
  readonly #client: pg.Client
  #full: string | undefined
  #cheap: string | undefined
  #classes: string | undefined
  #generation = 0

  constructor(client: pg.Client) {
    this.#client = client
  }

  /** Where the server's WAL ends, and the sequences, which write to it at every 32nd call only: nothing durable changes without one of them. */
  async glance(): Promise<string> {
    this.#cheap ??= glanceOf(await this.#relations())
    const { rows } = await this.#client.query({ ...this.#named('glance', this.#cheap), rowMode: 'array' })
    return String(rows[0])
  }

  /** Everything. */
  async read(): Promise<State> {
    this.#full ??= fullOf(await this.#relations())
    const { rows } = await this.#client.query<Row>(this.#named('full', this.#full))
    const state = statesOf(rows)
    const classes = state.versions.get('pg_class')
    if (this.#classes !== classes) {
      // Tables may have come or gone: they are looked for anew.
      const isFirst = this.#classes === undefined
      this.#classes = classes
      this.#full = this.#cheap = undefined
      this.#generation++
      if (!isFirst) return await this.read()
    }
    return state
  }

  /** Planned once: most of the time would go into that. */
  #named(what: string, text: string) {
    return { name: `${what} ${this.#generation}`, text }
  }

  async #relations(): Promise<Relation[]> {
    const { rows } = await this.#client.query<Relation>(RELATIONS)
    return rows
  }
}

/** The names of what is not the same. */
export function differences(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): string[] {
  const names = new Set([...a.keys(), ...b.keys()])
  return [...names].filter((name) => a.get(name) !== b.get(name)).sort()
}

interface Relation {
  readonly name: string
  readonly relkind: string
}

interface Row {
  readonly what: string
  readonly version: string | null
  readonly content: string | null
}

const RELATIONS = `select quote_ident(n.nspname) || '.' || quote_ident(c.relname) as name, c.relkind
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm', 'S') and c.relpersistence <> 't' and n.nspname !~ '^pg_|^information_schema$|^saved$' order by 1`

function glanceOf(relations: readonly Relation[]): string {
  const sequences = relations
    .filter(({ relkind }) => relkind === 'S')
    .map(({ name }) => `(select last_value::text || is_called::text from ${name})`)
  return `select ${['pg_current_wal_insert_lsn()', ...sequences].join(', ')}`
}

function fullOf(relations: readonly Relation[]): string {
  const ofRelations = relations.map(({ name, relkind }) => {
    const what = `'${name.replaceAll("'", "''")}'`
    if (relkind === 'S') {
      return `select ${what}, last_value::text || is_called::text, last_value::text || is_called::text from ${name}`
    }
    // `concat` asks for the output functions only: a cast to text may be anybody's.
    return `select ${what}, count(*) || ' ' || sum(hashtextextended(concat(ctid, ' ', xmin), 0)), count(*) || ' ' || sum(hashtextextended(concat(t), 0)) from only ${name} t`
  })
  const all = [...ofRelations, ...CATALOGS, LARGE_OBJECTS].join('\nunion all\n')
  return `select * from (${all}) as all_of_it(what, version, content)`
}

// What the schemas have made; the server's own is left alone.
const catalog = (name: string, oid = 'oid', where = '') =>
  `select '${name}', count(*) || ' ' || sum(xmin::text::bigint), count(*)::text from pg_catalog.${name} where ${oid} >= 16384${where}`

const NOT_TEMPORARY = `relpersistence <> 't' and relnamespace::regnamespace::text !~ '^pg_t'`
const OF_THESE = `(select oid from pg_class where oid >= 16384 and ${NOT_TEMPORARY})`
const CATALOGS = [
  catalog('pg_class', 'oid', ` and ${NOT_TEMPORARY}`),
  catalog('pg_attribute', 'attrelid', ` and attrelid in ${OF_THESE}`),
  catalog('pg_type', 'oid', ` and typnamespace::regnamespace::text !~ '^pg_t'`),
  ...['pg_proc', 'pg_constraint', 'pg_trigger', 'pg_policy', 'pg_operator', 'pg_cast'].map((name) =>
    catalog(name),
  ),
  catalog('pg_description', 'objoid'),
  catalog('pg_rewrite', 'oid', ` and ev_class in ${OF_THESE}`),
]
const LARGE_OBJECTS = `select 'large objects', count(*) || coalesce(md5(string_agg(data::text, '' order by loid, pageno)), ''), count(*)::text from pg_largeobject_metadata left join pg_largeobject on loid = oid`

function statesOf(rows: readonly Row[]): State {
  const map = (of: 'version' | 'content') => new Map(rows.map((row) => [row.what, row[of] ?? '']))
  return { versions: map('version'), contents: map('content') }
}
