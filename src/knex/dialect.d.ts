/** Knex's own PostgreSQL client, by the file that it lies in: its types name the class that it extends only. */
declare module 'knex/lib/dialects/postgres/index.js' {
  import type { Knex } from 'knex'

  const Client: new (config: Knex.Config) => Knex.Client
  export default Client
}
