/**
 * The names of the common tables of a text (`with x as (…)`), each as far as it is seen: from behind its body on, or within it
 * where it is recursive, until the parenthesis closes in which its `with` stands.
 */
export class CommonTables {
  /** How many common tables of a name are seen. */
  #seen: Map<string, number> | undefined
  /** By depth: what a `with` there has named. */
  readonly #levels: (Level | undefined)[] = []

  /** A `with` stands at this depth. */
  begin(depth: number): void {
    const level = this.#levels[depth]
    if (level === undefined) this.#levels[depth] = { names: [], isRecursive: false, next: '', body: '' }
    else level.isRecursive = false
  }

  recurses(depth: number): void {
    const level = this.#levels[depth]
    if (level !== undefined) level.isRecursive = true
  }

  /** A name stands where that of a common table does. */
  name(depth: number, name: string): void {
    const level = this.#levels[depth]
    if (level !== undefined) level.next = name
  }

  /** The body of the one that was named last opens at this depth. */
  openBody(depth: number): void {
    const level = this.#levels[depth]
    if (level === undefined || level.next === '') return
    if (level.isRecursive) this.#show(level, level.next)
    else level.body = level.next
    level.next = ''
  }

  /** A parenthesis closes, behind which this depth goes on: what was named within it is seen no more. */
  close(depth: number): void {
    if (this.#levels.length === 0) return
    const within = this.#levels[depth + 1]
    if (within !== undefined) this.#forget(within, depth + 1)
    const level = this.#levels[depth]
    if (level === undefined || level.body === '') return
    this.#show(level, level.body)
    level.body = ''
  }

  /** A statement is over, and with it all that it has named. */
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
  /** What has been named, and has no body yet. */
  next: string
  /** What has its body open, and is not recursive. */
  body: string
}
