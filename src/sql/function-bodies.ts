import type { BodyRow } from './catalog-queries.ts'
import { type FunctionBody, readFunctionBody } from './function-body.ts'

/** Of one text so many characters are read: one that is longer is too odd for a function that only reads. */
const MAX_LENGTH = 200_000

/** A function of the application's that is declared stable or immutable, without its text. */
export type BodyOwner = Omit<BodyRow, 'body'>

/** What their texts may name. */
interface Named {
  readonly kind: 'function' | 'relation' | 'operator' | 'type' | 'column'
  readonly schema: string
  readonly name: string
}

/** The texts of the functions that are declared stable or immutable, as an index of the names that stand in them. */
export class FunctionBodies {
  readonly #callers = new Map<string, Naming[]>()
  readonly #readers = new Map<string, Naming[]>()

  /** Reads the text of a function; false where it cannot be read. */
  add({ body, ...owner }: BodyRow): boolean {
    const { calls, names, isReadable } = body.length > MAX_LENGTH ? UNREADABLE : readFunctionBody(body)
    if (!isReadable) return false
    for (const { schema, name } of calls) note(this.#callers, name, { schema, owner })
    for (const { schema, table } of names) note(this.#readers, table.toLowerCase(), { schema, owner })
    return true
  }

  /** The functions whose texts call or read it. */
  callersOf({ kind, schema, name }: Named): BodyOwner[] {
    const namings = kind === 'function' ? this.#callers.get(name) : this.#readers.get(name.toLowerCase())
    if (namings === undefined) return []
    const isAnywhere = kind === 'operator' || kind === 'column'
    return namings
      .filter((each) => isAnywhere || each.schema === undefined || each.schema === schema)
      .map(({ owner }) => owner)
  }
}

const UNREADABLE: FunctionBody = { calls: [], names: [], isReadable: false }

/** A name in the text of a function. */
interface Naming {
  readonly schema: string | undefined
  readonly owner: BodyOwner
}

function note(index: Map<string, Naming[]>, name: string, naming: Naming): void {
  const known = index.get(name)
  if (known === undefined) index.set(name, [naming])
  else known.push(naming)
}
