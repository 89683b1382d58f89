import type { Kysely } from 'kysely'
import type { Database } from './database.ts'
import type { LastWrites } from './last-write.ts'

/** What the routes work with. */
export interface Shop {
  readonly db: Kysely<Database>
  readonly lastWrites: LastWrites
}
