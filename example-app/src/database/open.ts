import { openWithDrizzle } from './drizzle.ts'
import { openWithKnex } from './knex.ts'
import { openWithKysely } from './kysely.ts'
import { openWithPg } from './pg.ts'
import { openWithSequelize } from './sequelize.ts'
import type { Servers } from './servers.ts'
import type { ShopDatabase } from './shop-database.ts'

const OPEN = {
  kysely: openWithKysely,
  pg: openWithPg,
  drizzle: openWithDrizzle,
  knex: openWithKnex,
  sequelize: openWithSequelize,
}

export type Client = keyof typeof OPEN

export const CLIENTS = Object.keys(OPEN) as Client[]

/** Opens the servers with one of the clients. The rest of the shop is the same for all. */
export function openDatabase(client: Client, servers: Servers): ShopDatabase {
  return OPEN[client](servers)
}
