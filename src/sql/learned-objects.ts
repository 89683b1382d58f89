import type { Ask } from './catalog-queries.ts'
import type { VersionsRow } from './version-queries.ts'

/** Of how many objects a question asks what version each has. */
const VERSIONS_PAGE = 2_000

/** What was learned of the objects of a catalog, for as long as each is what it was: only what is new or has changed is asked for again. */
export class LearnedObjects<Value> {
  #versions: ReadonlyMap<string, string> = new Map()
  #values: ReadonlyMap<string, Value> = new Map()

  /**
   * Reads the versions behind $1, $2 of them, and has `learn` tell something of those that are not known yet, in pages of `size`. Gives what
   * is known of all; of many there is nothing to be said.
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
    // Only now: where a question fails, what was known before goes on to hold.
    this.#versions = versions
    this.#values = values
    return values
  }
}
