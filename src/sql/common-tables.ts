/**
 * Follows which common tables (`with x as (…)`) are visible at each place of a text. A common table is visible after
 * its body, and within its body if it is recursive, until the parenthesis around its `with` closes.
 */
export class CommonTables {
  /** How many visible common tables have each name. */
  #seen: Map<string, number> | undefined
  /** The names that a `with` has given, by its depth of parentheses. */
  readonly #levels: (Level | undefined)[] = []

  /** A `with` begins at this depth. */
  begin(depth: number): void {
    const level = this.#levels[depth]
    if (level === undefined) this.#levels[depth] = { names: [], isRecursive: false, next: '', body: '' }
    else level.isRecursive = false
  }

  recurses(depth: number): void {
    const level = this.#levels[depth]
    if (level !== undefined) level.isRecursive = true
  }

  /** A name stands in the place of a common table's name. */
  name(depth: number, name: string): void {
    const level = this.#levels[depth]
    if (level !== undefined) level.next = name
  }

  /** The body of the common table that was named last opens at this depth. */
  openBody(depth: number): void {
    const level = this.#levels[depth]
    if (level === undefined || level.next === '') return
    if (level.isRecursive) this.#show(level, level.next)
    else level.body = level.next
    level.next = ''
  }

  /**
   * A parenthesis closes, and the text goes on at this depth. The names within the parenthesis are not visible any
   * more.
   */
  close(depth: number): void {
    if (this.#levels.length === 0) return
    const within = this.#levels[depth + 1]
    if (within !== undefined) this.#forget(within, depth + 1)
    const level = this.#levels[depth]
    if (level === undefined || level.body === '') return
    this.#show(level, level.body)
    level.body = ''
  }

  /** A statement ends. Nothing that it named is visible any more. */
  clear(): void {
    this.#levels.length = 0
    this.#seen?.clear()
  }

  has(name: string): boolean {
    return this.#seen !== undefined && (this.#seen.get(name) ?? 0) > 0
  }

  #show(level: Level, name: string): void {
    this.#seen ??= new Map()
    this.#seen.set(name, (this.#seen.get(name) ?? 0) + 1)
    level.names.push(name)
  }

  #forget(level: Level, depth: number): void {
    for (const name of level.names) this.#seen?.set(name, (this.#seen.get(name) ?? 1) - 1)
    this.#levels[depth] = undefined
  }
}

interface Level {
  readonly names: string[]
  isRecursive: boolean
  /** The name that has no body yet; empty for none. */
  next: string
  /** The name of the common table whose body is open, if it is not recursive; empty for none. */
  body: string
}
