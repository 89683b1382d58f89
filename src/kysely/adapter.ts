import { type DialectAdapter, type Kysely, type MigrationLockOptions, PostgresAdapter } from 'kysely'
import { usePrimary } from '../freshness/scopes.ts'

/**
 * Kysely's own adapter. It takes the lock around migrations on the primary. The connection that took it stays there, so
 * that migrations read what they have written, whatever the names of their tables.
 */
export class PrimaryAdapter extends PostgresAdapter {
  override acquireMigrationLock(db: Kysely<unknown>, options: MigrationLockOptions): Promise<void> {
    return usePrimary(() => super.acquireMigrationLock(db, options))
  }
}

/**
 * The type of the adapter for its users. Kysely 0.28 has its types twice, for `import` and for `require()`, and
 * TypeScript does not take a class of one for a class of the other. So these parameters take both.
 */
export type DualAdapter = Omit<DialectAdapter, 'acquireMigrationLock' | 'releaseMigrationLock'> & {
  acquireMigrationLock(db: object, options: MigrationLockOptions): Promise<void>
  releaseMigrationLock(db: object, options: MigrationLockOptions): Promise<void>
}
