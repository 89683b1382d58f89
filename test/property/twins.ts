import pg from 'pg'
import type { PostgresCluster } from 'write-pinning/testing'
import { cleanSession } from './plain.ts'
import { Product } from './product.ts'
import type { Schema } from './schema.ts'
import { StateReader } from './state.ts'

/** Whom the statements run as: row security is not for superusers. */
export const APPLICATION = 'application'

/**
 * Two databases of the same schema and rows: one is the package's, the other is plain `pg`'s, so that both can run the same statements.
 */
export class Twins implements AsyncDisposable {
  readonly product: Product
  readonly plain: pg.Client
  readonly plainOnReplica: pg.Client
  readonly state: StateReader
  readonly plainState: StateReader
  /** The statements of the schema that the server refused. */
  readonly refused: readonly string[]
  readonly #admins: readonly pg.Client[]
  readonly #drop: () => Promise<void>

  static async make(cluster: PostgresCluster, schema: Schema, name: string): Promise<Twins> {
    const admin = await connect(cluster.primary.connectionString)
    const names = [name, `${name}_plain`] as const
    const drop = async () => {
      for (const each of names) await admin.query(`drop database if exists ${each} with (force)`)
      await admin.end()
    }
    await admin.query(`create database ${names[0]} strategy wal_log`)
    const url = (of: string, node: string, user?: string) => {
      const made = new URL(node)
      made.pathname = `/${of}`
      if (user !== undefined) made.username = user
      return made.href
    }
    const [replica] = cluster.replicas
    if (replica === undefined) throw new Error('The tester needs a replica.')
    const { primary } = cluster
    const builder = await connect(url(names[0], primary.connectionString))
    const refused = await build(builder, schema)
    await builder.end()
    // The copy has the same oids, and so the same answers.
    await admin.query(`create database ${names[1]} template ${names[0]} strategy wal_log`)
    await cluster.waitForCatchup()
    const user = schema.isOfSuperuser ? undefined : APPLICATION
    const [own, plainOwn] = await Promise.all(
      names.map((each) => connect(url(each, primary.connectionString))),
    )
    // Plain `pg` reads from no replica: it waits for none either, which would be most of its time.
    const plain = await connect(url(names[1], primary.connectionString, user), {
      options: '-c synchronous_commit=local',
    })
    const plainOnReplica = await connect(url(names[1], replica.connectionString, user))
    const product = await Product.open(
      url(names[0], primary.connectionString, user),
      url(names[0], replica.connectionString, user),
      schema.harmlessRead,
    )
    return new Twins(product, plain, plainOnReplica, [own as pg.Client, plainOwn as pg.Client], refused, drop)
  }

  private constructor(
    product: Product,
    plain: pg.Client,
    plainOnReplica: pg.Client,
    admins: readonly pg.Client[],
    refused: readonly string[],
    drop: () => Promise<void>,
  ) {
    this.product = product
    this.plain = plain
    this.plainOnReplica = plainOnReplica
    this.#admins = admins
    this.refused = refused
    this.#drop = drop
    const [own, plainOwn] = admins as [pg.Client, pg.Client]
    this.state = new StateReader(own)
    this.plainState = new StateReader(plainOwn)
  }

  /** Gives both the rows that they had at first. */
  async reset(): Promise<void> {
    await Promise.all(this.#admins.map((admin) => admin.query('select saved.restore()')))
  }

  async clean(client: 'kysely' | 'pool'): Promise<void> {
    await Promise.all([this.product.clean(client), cleanSession(this.plain)])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.product.close()
    await Promise.all([this.plain, this.plainOnReplica, ...this.#admins].map((client) => client.end()))
    await this.#drop()
  }
}

async function connect(connectionString: string, options: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ connectionString, ...options })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Runs the statements of a schema; what the server refuses is left out. */
async function build(client: pg.Client, { statements }: Schema): Promise<string[]> {
  const refused: string[] = []
  try {
    await client.query(statements.join(';\n'))
  } catch {
    for (const each of statements) {
      try {
        await client.query(each)
      } catch (error) {
        refused.push(`${each}: ${(error as Error).message}`)
      }
    }
  }
  await client.query(AFTER)
  return refused
}

/** Rights, and a copy of the rows to go back to. Triggers and rules sleep meanwhile. */
const AFTER = `
do $$ begin if not exists (select from pg_roles where rolname = '${APPLICATION}') then create role ${APPLICATION} login; end if; end $$;
grant all on schema public to ${APPLICATION};
grant all on all tables in schema public to ${APPLICATION};
grant all on all sequences in schema public to ${APPLICATION};
create schema saved;
do $$ declare t record; columns text; body text := ''; names text := ''; begin
  for t in select c.oid, quote_ident(c.relname) as name, row_number() over (order by c.oid) as n from pg_class c
    where relkind = 'r' and relnamespace = 'public'::regnamespace loop
    select string_agg(quote_ident(attname), ', ' order by attnum) into columns from pg_attribute
      where attrelid = t.oid and attnum > 0 and not attisdropped and attgenerated = '';
    execute format('create table saved.t%s as select %s from only public.%s', t.n, columns, t.name);
    body := body || format('insert into public.%s (%s) overriding system value select %s from saved.t%s;', t.name, columns, columns, t.n);
    names := names || ', only public.' || t.name;
  end loop;
  for t in select quote_literal(format('public.%I', relname)) as name from pg_class where relkind = 'S' and relnamespace = 'public'::regnamespace loop
    body := body || format('select setval(%s, 1, false);', t.name);
  end loop;
  if names = '' then names := ', only saved.t1'; end if;
  execute format('create function saved.restore() returns void language sql set session_replication_role = replica as %L',
    'truncate ' || substr(names, 3) || ' cascade;' || body);
end $$;
select saved.restore()`
