import { type DialectAdapter, type Kysely, type MigrationLockOptions, PostgresAdapter } from 'kysely'
import { usePrimary } from '../freshness/scopes.ts'

/**
 * Kysely's own adapter; the lock around migrations is taken on the primary, and the connection that took it stays
 * there, so that migrations read what they have written, whatever the names of their tables.
 */
export class PrimaryAdapter extends PostgresAdapter {
  // biome-ignore lint/suspicious/noExplicitAny: the type is Kysely's own.
  override acquireMigrationLock(db: Kysely<any>, options: MigrationLockOptions): Promise<void> {
    return usePrimary(() => super.acquireMigrationLock(db, options))
  }
}

/**
 * The type of the adapter for whoever uses it. Kysely 0.28 has its types twice, for `import` and for `require()`, and a class of
 * the one is none of the other's: so these parameters take either.
 */
export type DualAdapter = Omit<DialectAdapter, 'acquireMigrationLock' | 'releaseMigrationLock'> & {
  // biome-ignore lint/suspicious/noExplicitAny: see above.
  acquireMigrationLock(db: any, options: MigrationLockOptions): Promise<void>
  // biome-ignore lint/suspicious/noExplicitAny: see above.
  releaseMigrationLock(db: any, options: MigrationLockOptions): Promise<void>
}
