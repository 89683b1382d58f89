import { type Generated, Kysely } from 'kysely'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'

export interface Database {
  products: ProductTable
  wishlist_items: WishlistItemTable
}

interface ProductTable {
  id: Generated<number>
  picture: string
  name: string
  maker: string
  blurb: string
  price_cents: number
}

interface WishlistItemTable {
  wishlist_id: string
  product_id: number
  quantity: Generated<number>
  note: Generated<string>
  is_gift: Generated<boolean>
  added_at: Generated<Date>
}

/** Where the servers are: one connection string each. */
export interface Servers {
  primary: string
  replicas: readonly string[]
}

/** A server, and the name under which pages and messages speak of it. */
export interface NamedServer {
  name: string
  url: string
}

/** The primary first. */
export function nameServers({ primary, replicas }: Servers): [NamedServer, ...NamedServer[]] {
  return [
    { name: 'primary', url: primary },
    ...replicas.map((url, index) => ({ name: `replica-${index + 1}`, url })),
  ]
}

/** Opens one Kysely over all servers: writes go to the primary, reads to a replica that is fresh enough. */
export function openDatabase(servers: Servers): Kysely<Database> {
  const [primary, ...replicas] = nameServers(servers)
  return new Kysely<Database>({
    dialect: new PrimaryReplicaDialect({ primary: node(primary), replicas: replicas.map(node) }),
  })
}

function node({ name, url }: NamedServer) {
  return { name, pool: { connectionString: url, connectionTimeoutMillis: 5_000 } }
}
