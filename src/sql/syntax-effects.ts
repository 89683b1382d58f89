import type { TableName } from './table-name.ts'

/** What a statement writes and locks by its syntax, whatever it calls. */
export class SyntaxEffects {
  writes = false
  locks = false
  /** Whether the name being read is what an insert, update, delete or merge writes to. */
  isAtTarget = false
  #areTargetsKnown = true
  readonly #targets: TableName[] = []

  /** The tables that are written to; undefined where they are not known for sure. */
  get targets(): readonly TableName[] | undefined {
    return this.#areTargetsKnown && this.#targets.length > 0 ? this.#targets : undefined
  }

  /** Reads a key word by the word before it. */
  readKeyWord(word: string, last: string): void {
    switch (word) {
      case 'update':
        if (last === 'for' || last === 'key') this.locks = true
        // `on conflict … do update`, `when matched then update`: of what is written to already.
        else if (last !== 'do' && last !== 'then') this.#beginTarget()
        break
      case 'share':
        if (last === 'for' || last === 'key') this.locks = true
        break
      case 'into':
        if (last === 'insert' || last === 'merge') this.#beginTarget()
        else this.#writesSomewhere() // `select … into`
        break
      case 'from':
        if (last === 'delete') this.#beginTarget()
        break
    }
  }

  /** Reads a name where that of a table is awaited. */
  readTarget(table: TableName, isKeyWord: boolean): void {
    if (isKeyWord && BEFORE_TARGET.has(table.table)) return
    this.#targets.push(table)
    this.isAtTarget = false
  }

  #beginTarget(): void {
    this.writes = true
    this.isAtTarget = true
  }

  #writesSomewhere(): void {
    this.writes = true
    this.#areTargetsKnown = false
  }
}

// What may stand between the verb and the table.
const BEFORE_TARGET = new Set(['into', 'from', 'update', 'only'])
