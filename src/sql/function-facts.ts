import type { FunctionRow, TypeRow } from './catalog-queries.ts'
import { knownEffect, UNSEEN_FUNCTIONS } from './known-functions.ts'
import type { FunctionCall } from './statement-text.ts'

/** What a call does to the route of its statement. */
export type CallEffect =
  | 'none'
  | 'session'
  | 'primary-table'
  /** It may advance a sequence, also by a text that it runs, which counts whatever the server says: it sees few such calls as a write. */
  | 'sequence'
  /** It may do anything. */
  | 'volatile'
  | 'unknown'

/** A function as the catalog or a text names it. */
export type FunctionName = Pick<FunctionCall, 'schema' | 'name'>

/** A function that may do more than read. */
export interface EffectfulFunction {
  readonly oid: string
  readonly schema: string
  readonly name: string
  /** Whether it is the application's: neither PostgreSQL's nor an extension's. */
  readonly isOwn: boolean
  /** Whether it may advance a sequence. */
  readonly advances: boolean
}

/** What a function may leave in the session of whoever calls it. */
export interface Leaves {
  /** A setting that nobody could follow. */
  readonly sets: boolean
  /** Something that no other session has: a lock, a temporary table, a channel. */
  readonly binds: boolean
}

export const LEAVES_NOTHING: Leaves = { sets: false, binds: false }
/** Of what nobody knows. */
export const MAY_BIND: Leaves = { sets: false, binds: true }

/** What the functions of a database do, by name and by their object identifiers. */
export class FunctionFacts {
  readonly #all = new Set<string>()
  readonly #own = new Set<string>()
  readonly #volatile = new Set<string>()
  readonly #ownVolatile = new Set<string>()
  /** Those of the application's that may advance a sequence. */
  readonly #ownSequence = new Set<string>()
  /** The names of those that are declared stable or immutable, and run what nobody can read before. */
  readonly #opaque = new Set<string>()
  /** Those that may be called with one argument: `(x).f` calls them. */
  readonly #ofOne = new Set<string>()
  /** Those of the application's that may leave something in the session of whoever calls them. */
  readonly #leavers = new Map<string, Leaves>()
  /** The functions that may do more than read, by their object identifiers. */
  readonly effectful = new Map<string, EffectfulFunction>()
  /** Names of types: a cast may be written like a call. */
  readonly #types = new Set<string>()
  readonly #because = new Map<string, string>()
  readonly #rules: FunctionRules

  constructor(rules: FunctionRules) {
    this.#rules = rules
  }

  add({ schema, is_volatile, is_own, takes_one, oids, names }: FunctionRow): void {
    for (const [at, name] of names.entries()) {
      this.#name({ schema, name }, is_volatile, is_own)
      if (takes_one) this.#ofOne.add(name)
      const oid = oids[at]
      if (oid !== undefined && this.#isEffectful({ schema, name }, is_volatile, is_own)) {
        const advances = !is_own && UNSEEN_FUNCTIONS.has(name)
        this.effectful.set(oid, { oid, schema, name, isOwn: is_own, advances })
      }
    }
  }

  /** One of the application's functions is declared harmless, and runs what nobody can read before. */
  addOpaque(name: string): void {
    this.#opaque.add(name)
  }

  /** One of the application's functions may leave something in its session; false where as much was known. */
  addLeaver({ sets, binds, ...name }: Leaves & { readonly schema: string; readonly name: string }): boolean {
    let isNew = false
    for (const key of keysOf(name)) {
      const known = this.#leavers.get(key)
      if ((known?.sets || !sets) && (known?.binds || !binds)) continue
      this.#leavers.set(key, { sets: sets || known?.sets === true, binds: binds || known?.binds === true })
      isNew = true
    }
    return isNew
  }

  get hasLeavers(): boolean {
    return this.#leavers.size > 0
  }

  /** What a call may leave in its session: of one that nobody knows, anything. */
  leftBy(call: FunctionCall): Leaves {
    const key = keyOf(call)
    if (this.isColumn(call) || this.#types.has(key)) return LEAVES_NOTHING
    return this.#leavers.get(key) ?? (this.#all.has(key) || isSyntax(call) ? LEAVES_NOTHING : MAY_BIND)
  }

  /** These of the application's functions may advance a sequence. */
  addAdvancing(oids: readonly string[]): void {
    for (const oid of oids) {
      const known = this.effectful.get(oid)
      if (known === undefined) continue
      this.effectful.set(oid, { ...known, advances: true })
      for (const key of keysOf(known)) this.#ownSequence.add(key)
    }
  }

  addTypes({ schema, names }: TypeRow): void {
    for (const name of names) for (const key of keysOf({ schema, name })) this.#types.add(key)
  }

  /** A function that is declared stable or immutable does more than read: it calls, or reads, one that does. */
  addCaller(caller: EffectfulFunction, because: string): void {
    this.#name(caller, true, true)
    for (const key of keysOf(caller)) if (!this.#because.has(key)) this.#because.set(key, because)
    if (caller.advances) for (const key of keysOf(caller)) this.#ownSequence.add(key)
    this.effectful.set(caller.oid, caller)
  }

  /** What a function calls or reads that makes it do more than it declares; undefined where its declaration says so itself. */
  becauseOf(call: FunctionName): string | undefined {
    return this.#because.get(keyOf(call))
  }

  /** What a call does by the catalog alone: a function counts as the worst of its overloads. */
  effectOf(call: FunctionCall): CallEffect {
    if (this.isColumn(call)) return 'none'
    const key = keyOf(call)
    if (this.#ownSequence.has(key)) return 'sequence'
    // An application's function may be named like one that is known, and do anything.
    if (this.#ownVolatile.has(key)) return 'volatile'
    if (this.#all.has(key)) return knownEffect(call.name) ?? (this.#volatile.has(key) ? 'volatile' : 'none')
    // What the cast to a type does, a domain's say, is told with the relations.
    return isSyntax(call) || this.#types.has(key) ? 'none' : 'unknown'
  }

  /** Whether it is no call: `(x).f` is one where a function of one argument is called so, and a column otherwise. */
  isColumn({ name, isAttribute }: FunctionCall): boolean {
    return isAttribute === true && !this.#ofOne.has(name)
  }

  /** Whether nobody can vouch for it, though its declaration calls it harmless. */
  isOpaque({ name }: FunctionName): boolean {
    return this.#opaque.has(name)
  }

  /** Whether one of the application's functions, neither PostgreSQL's nor an extension's, is called so. */
  isOwn(call: FunctionName): boolean {
    return this.#own.has(keyOf(call))
  }

  #isEffectful(name: FunctionName, isVolatile: boolean, isOwn: boolean): boolean {
    const told = this.#rules.effectOf(name)
    if (told !== undefined) return told === 'volatile'
    if (isOwn) return isVolatile
    return (knownEffect(name.name) ?? (isVolatile ? 'volatile' : 'none')) !== 'none'
  }

  #name(name: { readonly schema: string; readonly name: string }, isVolatile: boolean, isOwn: boolean): void {
    for (const key of keysOf(name)) {
      this.#all.add(key)
      if (isOwn) this.#own.add(key)
      if (isVolatile) this.#volatile.add(key)
      if (isVolatile && isOwn) this.#ownVolatile.add(key)
    }
  }
}

/** What the options say of functions, whatever the server declares. */
export class FunctionRules {
  readonly #primaryFunctions: ReadonlySet<string>
  /** The same without their schemas. */
  readonly #primaryNames: ReadonlySet<string>
  readonly #replicaFunctions: ReadonlySet<string>

  constructor(options: {
    readonly primaryFunctions: readonly string[]
    readonly replicaFunctions: readonly string[]
  }) {
    this.#primaryFunctions = new Set(options.primaryFunctions)
    this.#primaryNames = new Set(options.primaryFunctions.map(withoutSchema))
    this.#replicaFunctions = new Set(options.replicaFunctions)
  }

  /** What the options say of a function; undefined where they do not name it. */
  effectOf({ schema, name }: FunctionName): 'none' | 'volatile' | undefined {
    const qualified = schema === undefined ? name : `${schema}.${name}`
    // Without a schema it may be any function of that name: doubt means primary.
    if (schema === undefined && this.#primaryNames.has(name)) return 'volatile'
    if (this.#primaryFunctions.has(name) || this.#primaryFunctions.has(qualified)) return 'volatile'
    return this.#replicaFunctions.has(name) || this.#replicaFunctions.has(qualified) ? 'none' : undefined
  }
}

/** A function's name as a key; without a schema it is that of any function called so. */
export function keyOf({ schema, name }: FunctionName): string {
  return schema === undefined ? name : `${schema}.${name}`
}

/** A function's keys: a call may name it with or without its schema. */
export function keysOf({ schema, name }: { readonly schema: string; readonly name: string }): string[] {
  return [name, `${schema}.${name}`]
}

// `over (`, `by (`, `filter (`: syntax, unless somebody has made a function of that name.
export function isSyntax({ schema, isKeyWord }: FunctionCall): boolean {
  return schema === undefined && isKeyWord
}

function withoutSchema(qualified: string): string {
  return qualified.slice(qualified.lastIndexOf('.') + 1)
}
