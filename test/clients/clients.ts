import type { Client } from './client.ts'
import { drizzle } from './drizzle.ts'
import { knex } from './knex.ts'
import { kysely } from './kysely.ts'
import { mikroOrm } from './mikro-orm.ts'
import { objection } from './objection.ts'
import { pgPromiseClient } from './pg-promise.ts'
import { plainPg, plainPgByDriver } from './plain-pg.ts'
import { prisma } from './prisma.ts'
import { prismaAdapter } from './prisma-adapter.ts'
import { sequelize } from './sequelize.ts'
import { typeorm, typeormByDriver } from './typeorm.ts'

/** Every library that the package is for; another one needs an adapter, and a place in this list. */
export const clients: readonly Client[] = [
  ...[kysely, plainPg, plainPgByDriver, drizzle, prismaAdapter, prisma, typeorm],
  ...[typeormByDriver, knex, objection, sequelize, pgPromiseClient, mikroOrm],
]
