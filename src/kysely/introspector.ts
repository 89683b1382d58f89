import {
  type DatabaseMetadataOptions,
  PostgresIntrospector,
  type SchemaMetadata,
  type TableMetadata,
} from 'kysely'
import { usePrimary } from '../freshness/scopes.ts'

/**
 * Kysely's own introspector, on the primary: a replica may not know of a new table yet. `getMetadata()` of 0.28 calls
 * `getTables()`.
 */
export class PrimaryIntrospector extends PostgresIntrospector {
  override getSchemas(): Promise<SchemaMetadata[]> {
    return usePrimary(() => super.getSchemas())
  }

  override getTables(options?: DatabaseMetadataOptions): Promise<TableMetadata[]> {
    return usePrimary(() => super.getTables(options))
  }
}
