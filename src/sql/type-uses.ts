import type { Ask, DependentRow } from './catalog-queries.ts'
import type { Cause } from './cause.ts'
import type { FunctionBodies } from './function-bodies.ts'
import { NameMap } from './table-names.ts'
import { isUsedWithoutSign, TypeFacts } from './type-facts.ts'
import {
  COMPARING_QUERIES,
  HOLDERS_QUERY,
  type HolderRow,
  RETURNING_FUNCTIONS_QUERY,
  RETURNING_QUERIES,
  type UseRow,
} from './type-queries.ts'

/** An object that was found, and the object that it depends on. */
export interface Found {
  readonly row: DependentRow
  readonly by: { readonly cause: Cause; readonly schema: string; readonly name: string }
}

/**
 * Collects the types whose operators, casts or checks call functions that may do more than read ({@link TypeFacts}).
 * Asks the server which names in a text give a value of such a type. A database without such a type is not asked.
 */
export class TypeUses {
  readonly facts = new TypeFacts()
  readonly #ask: Ask
  readonly #bodies: FunctionBodies
  readonly #operated = new Map<string, Cause>()
  readonly #checked = new Map<string, Cause>()
  /** The names that give a row of a type, by that type. */
  readonly #rows = new Map<string, NameMap<true>>()
  /** The functions that are read like a column of such a row. */
  readonly #columns: Column[] = []
  /** The types that the server is asked for next. */
  readonly #open = new Set<string>()
  /** The functions that were found since the last {@link read}. */
  #users: Found[] = []

  constructor(ask: Ask, bodies: FunctionBodies) {
    this.#ask = ask
    this.#bodies = bodies
  }

  /** Adds an operator, cast, column or domain that runs a function although the text has no call of it. */
  add({ kind, schema, name, types, is_plain }: UseRow, cause: Cause): void {
    // The search takes the domain itself at its next level, like all other objects that it finds.
    if (kind === 'domain') return
    if (kind === 'column') this.#addColumn({ schema, name, cause, of: is_plain ? undefined : types[0] })
    else for (const type of types) this.#addRoot(this.#operated, type, cause)
    const isBuiltIn = types.length === 0
    if (kind === 'operator' && (isBuiltIn || is_plain)) {
      this.facts.addSign(name, cause)
      this.#addUsers(this.#bodies.naming({ name }), { schema, name, cause })
    }
    if (kind === 'cast' && isBuiltIn) {
      for (const spelling of this.facts.addCast(name, cause)) {
        this.#addUsers(this.#bodies.castersOf({ name: spelling }), { schema, name, cause })
      }
    }
    if (isBuiltIn && (kind === 'operator' ? isUsedWithoutSign(name) : is_plain && kind !== 'column')) {
      this.facts.addEverywhere(cause)
      this.#addUsers(this.#bodies.owners, { schema, name, cause })
    }
  }

  /** Adds a type of which a cast to it calls a function. */
  addChecked(oid: string, cause: Cause): void {
    this.#addRoot(this.#checked, oid, cause)
  }

  /**
   * Asks which objects hold a value of the types that are new. Gives the types that are checked together with them,
   * the functions that use them, and the views and tables with policies that use them.
   */
  async read(): Promise<Record<'checked' | 'users' | 'relations', readonly Found[]>> {
    const checked: Found[] = []
    const relations: Found[] = []
    if (this.#open.size > 0) {
      const roots = [...this.#open]
      this.#open.clear()
      const holders = await this.#ask<HolderRow>(HOLDERS_QUERY, [roots])
      for (const row of holders) this.#readHolder(row, checked)
      relations.push(...(await this.#readComparing(holders)), ...(await this.#readReturning(holders)))
      for (const column of this.#columns.filter(({ of }) => of !== undefined && roots.includes(of))) {
        this.#addColumnUsers(column)
      }
    }
    const users = this.#users
    this.#users = []
    return { checked, users, relations }
  }

  async #readComparing(holders: readonly HolderRow[]): Promise<Found[]> {
    const by = sourcesOf(holders, this.#operated)
    const oidsOf = (wanted: HolderRow['kind']) =>
      holders.filter(({ kind, oid }) => kind === wanted && by.has(oid)).map(({ oid }) => oid)
    return await this.#find(COMPARING_QUERIES, by, [oidsOf('type'), oidsOf('function')])
  }

  async #readReturning(holders: readonly HolderRow[]): Promise<Found[]> {
    const types = holders.filter(({ kind }) => kind === 'type')
    const by = sourcesOf(types, this.#checked)
    const oids = [...by.keys()]
    this.#users.push(...(await this.#find([RETURNING_FUNCTIONS_QUERY], by, [oids])))
    return await this.#find(RETURNING_QUERIES, by, [oids])
  }

  async #find(
    queries: readonly string[],
    by: ReadonlyMap<string, Found['by']>,
    values: readonly unknown[],
  ): Promise<Found[]> {
    const found: Found[] = []
    for (const query of by.size === 0 ? [] : queries) {
      for (const row of await this.#ask<DependentRow>(query, values)) {
        const its = by.get(row.on)
        if (its !== undefined) found.push({ row, by: its })
      }
    }
    return found
  }

  #readHolder(row: HolderRow, checked: Found[]): void {
    const { kind, oid, schema, name, root, is_row, is_many } = row
    const named = { schema, table: name }
    this.#rows.get(root)?.add(named, true)
    const operated = this.#operated.get(root)
    if (operated !== undefined) this.#addOperated(row, operated)
    const cause = this.#checked.get(root)
    if (cause === undefined || kind === 'function') return
    const by = { schema, name, cause }
    this.facts.addChecked(named, cause)
    // A value that is put into an array or a range, or used beside one, becomes an element or a bound.
    if (is_many) this.#addOperated(row, cause)
    if (is_row) {
      this.facts.addCheckedRow(named, cause)
      this.#addUsers(this.#bodies.castersOf(row), by)
    } else if (!this.#checked.has(oid)) {
      this.#checked.set(oid, cause)
      checked.push({ row: { oid, schema, name, on: root }, by })
    }
  }

  #addOperated({ kind, schema, name, is_row }: HolderRow, cause: Cause): void {
    this.facts.addOperated({ schema, table: name }, cause)
    const by = { schema, name, cause }
    if (kind === 'function') this.#addUsers(this.#bodies.callersOf({ kind, schema, name }), by)
    else this.#addUsers(this.#bodies.castersOf(by), by)
    // A relation may be named anywhere in the text of a function.
    if (is_row) this.#addUsers(this.#bodies.naming(by), by)
  }

  #addRoot(roots: Map<string, Cause>, type: string, cause: Cause): void {
    const known = roots.get(type)
    if (known !== undefined && (known.advances === true || cause.advances !== true)) return
    roots.set(type, cause)
    this.#open.add(type)
  }

  #addColumn(column: Column): void {
    const { name, cause, of } = column
    if (of === undefined) {
      this.facts.addRowFunction(name, cause, undefined)
      this.#addUsers(this.#bodies.qualifying(name), column)
      return
    }
    const holders = this.#rows.get(of) ?? new NameMap<true>()
    this.#rows.set(of, holders)
    this.#columns.push(column)
    this.#open.add(of)
    this.facts.addRowFunction(name, cause, holders)
  }

  #addColumnUsers(column: Column): void {
    const holders = column.of === undefined ? undefined : this.#rows.get(column.of)
    if (holders === undefined) return
    const users = this.#bodies.qualifying(column.name)
    this.#addUsers(
      users.filter((owner) => this.#bodies.names(owner, holders)),
      column,
    )
  }

  #addUsers(rows: readonly Omit<DependentRow, 'on'>[], by: Found['by']): void {
    for (const row of rows) this.#users.push({ row: { ...row, on: row.oid }, by })
  }
}

/** The holders of these types, with the cause, by identifier. */
function sourcesOf(
  holders: readonly HolderRow[],
  types: ReadonlyMap<string, Cause>,
): Map<string, Found['by']> {
  const by = new Map<string, Found['by']>()
  for (const { oid, schema, name, root } of holders) {
    const cause = types.get(root)
    if (cause !== undefined) by.set(oid, { schema, name, cause })
  }
  return by
}

/** A function of a row that is read like a column of it. */
interface Column {
  readonly schema: string
  readonly name: string
  readonly cause: Cause
  /** The type of the row; undefined for any. */
  readonly of: string | undefined
}
