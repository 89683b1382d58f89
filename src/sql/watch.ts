/** Names to look out for. Nearly every name of a text is none of them, which its length mostly tells already. */
export class Watch {
  readonly #names = new Set<string>()
  #lengths = 0

  constructor(names: Iterable<string> = []) {
    for (const name of names) this.add(name)
  }

  /** Adds a name as it is spelled, and in lower case: names in options are not always spelled as the database does. */
  add(name: string): void {
    for (const spelling of [name, name.toLowerCase()]) {
      this.#names.add(spelling)
      this.#lengths |= bitOf(spelling)
    }
  }

  has(name: string): boolean {
    return (this.#lengths & bitOf(name)) !== 0 && this.#names.has(name)
  }
}

// Lengths that differ by 32 share a bit, which costs a look into the set.
function bitOf({ length }: string): number {
  return 1 << length
}
