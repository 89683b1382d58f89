import type { Ask } from './catalog-queries.ts'
import type { VersionsRow } from './version-queries.ts'

/** How many versions one question reads. */
const VERSIONS_PAGE = 2_000

/**
 * What was learned of the objects of a catalog. The server is asked for an object again only if the object is new or
 * has changed.
 */
export class LearnedObjects<Value> {
  #versions: ReadonlyMap<string, string> = new Map()
  #values: ReadonlyMap<string, Value> = new Map()

  /**
   * Reads the versions of all objects, page by page: `versionsQuery` gives the next $2 of them after the identifier
   * $1. Calls `learn` for those that are new or have changed, at most `size` at a time. Gives the values of all
   * objects. Most objects have none.
   */
  async read(
    ask: Ask,
    versionsQuery: string,
    size: number,
    learn: (oids: readonly string[]) => Promise<Iterable<readonly [oid: string, value: Value]>>,
  ): Promise<ReadonlyMap<string, Value>> {
    const versions = new Map<string, string>()
    const values = new Map<string, Value>()
    let open: string[] = []
    for (let last: string | null | undefined = '0'; last !== undefined && last !== null; ) {
      const [page]: readonly VersionsRow[] = await ask<VersionsRow>(versionsQuery, [last, VERSIONS_PAGE])
      for (const [at, oid] of (page?.oids ?? []).entries()) {
        const version = page?.versions[at] ?? ''
        versions.set(oid, version)
        const value = this.#values.get(oid)
        if (this.#versions.get(oid) !== version) open.push(oid)
        else if (value !== undefined) values.set(oid, value)
      }
      last = page?.last
      while (open.length >= size || (open.length > 0 && typeof last !== 'string')) {
        for (const [oid, value] of await learn(open.slice(0, size))) values.set(oid, value)
        open = open.slice(size)
      }
    }
    // Stored only now: if a question fails, what was known before still holds.
    this.#versions = versions
    this.#values = values
    return values
  }
}
