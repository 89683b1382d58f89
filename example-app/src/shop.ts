import type { ShopDatabase } from './database/shop-database.ts'
import type { LastWrites } from './last-write.ts'

/** What the routes need. */
export interface Shop {
  readonly db: ShopDatabase
  readonly lastWrites: LastWrites
}
