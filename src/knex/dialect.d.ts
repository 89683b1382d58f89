/** Knex's own PostgreSQL client, imported by its file. Knex's types only name the class that it extends. */
declare module 'knex/lib/dialects/postgres/index.js' {
  import type { Knex } from 'knex'

  const Client: new (config: Knex.Config) => Knex.Client
  export default Client
}
