import * as kysely from 'kysely'

/** One step of the schema; it knows nothing of today's types, only of those it was written with. */
export interface Migration {
  // biome-ignore lint/suspicious/noExplicitAny: as Kysely's own type has it.
  up(db: kysely.Kysely<any>): Promise<void>
}

interface MigratorProps {
  // biome-ignore lint/suspicious/noExplicitAny: any schema can be migrated.
  readonly db: kysely.Kysely<any>
  readonly provider: { getMigrations(): Promise<Record<string, Migration>> }
}

interface Migrator {
  migrateToLatest(): Promise<{ error?: unknown; results?: { migrationName: string }[] }>
}

const ENTRY_OF_0_29: string = 'kysely/migration'

/** Makes Kysely's migrator, which 0.29 has in an entry of its own, and 0.28 beside everything else. */
export async function createMigrator(props: MigratorProps): Promise<Migrator> {
  const entry: object = 'Migrator' in kysely ? kysely : await import(ENTRY_OF_0_29)
  const { Migrator } = entry as { Migrator: new (props: MigratorProps) => Migrator }
  return new Migrator(props)
}
