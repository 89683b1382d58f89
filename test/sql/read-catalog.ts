import { type Catalog, catalogOf } from '../../src/sql/catalog.ts'
import { type Ask, type CatalogOptions, readFunctions, readRelations } from '../../src/sql/read-catalog.ts'

/** Reads both halves of a catalog, one after the other. */
export async function readCatalog(ask: Ask, options: CatalogOptions): Promise<Catalog> {
  const functions = await readFunctions(ask, options)
  return catalogOf(functions.facts, await readRelations(ask, functions, options))
}
