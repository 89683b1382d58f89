import type { ShopDatabase } from './database/shop-database.ts'
import { firstProducts } from './products.ts'

/** The steps of the schema, in order. Never change a step that has run somewhere. */
const migrations: Readonly<Record<string, readonly string[]>> = {
  '001-products-and-wishlists': [
    `create table products (
      id integer primary key generated always as identity,
      picture text not null unique,
      name text not null,
      maker text not null,
      blurb text not null,
      price_cents integer not null check (price_cents > 0)
    )`,
    `create table wishlist_items (
      wishlist_id uuid not null,
      product_id integer not null references products (id),
      quantity integer not null default 1 check (quantity between 1 and 99),
      note text not null default '',
      is_gift boolean not null default false,
      added_at timestamptz not null default now(),
      primary key (wishlist_id, product_id)
    )`,
  ],
  '002-first-products': [
    `insert into products (picture, name, maker, blurb, price_cents)
      select * from json_to_recordset($json$${JSON.stringify(firstProducts)}$json$)
        as product (picture text, name text, maker text, blurb text, price_cents integer)`,
  ],
}

/** The advisory lock of this shop's migrations. Any number that nothing else in this database locks will do. */
const LOCK = 1_414_213_562

/** Brings the schema up to date and gives the names of the migrations that had to run. */
export function migrate(db: ShopDatabase): Promise<string[]> {
  return db.transaction(async (run) => {
    // If two processes start at the same time, one waits for the other.
    await run(`select pg_advisory_xact_lock(${LOCK})`)
    await run('create table if not exists migration (name text primary key)')
    const done = new Set((await run('select name from migration')).map(({ name }) => name))
    const missing = Object.entries(migrations).filter(([name]) => !done.has(name))
    for (const [name, statements] of missing) {
      for (const statement of statements) await run(statement)
      await run(`insert into migration values ('${name}')`)
    }
    return missing.map(([name]) => name)
  })
}
