import type { Client } from './client.ts'
import { drizzle } from './drizzle.ts'
import { kysely } from './kysely.ts'
import { plainPg } from './plain-pg.ts'
import { prisma } from './prisma.ts'
import { prismaAdapter } from './prisma-adapter.ts'
import { typeorm } from './typeorm.ts'

/** Every library that the package is for; another one needs an adapter, and a place in this list. */
export const clients: readonly Client[] = [kysely, plainPg, drizzle, prismaAdapter, prisma, typeorm]
