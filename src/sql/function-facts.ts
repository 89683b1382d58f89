import type { FunctionRow, TypeRow } from './catalog-queries.ts'
import { knownEffect, UNSEEN_FUNCTIONS } from './known-functions.ts'
import type { FunctionCall } from './statement-text.ts'

/** The effect of a call on the route of its statement. */
export type CallEffect =
  /** It only reads. */
  | 'none'
  /** It leaves something in the session, or only a primary can answer it. The connection stays on the primary. */
  | 'session'
  /** It reads something that must be read on the primary. */
  | 'primary-table'
  /**
   * It may advance a sequence, also through a text that it runs. It counts as a write whatever the server says,
   * because the server reports few such calls as a write.
   */
  | 'sequence'
  /** It may do anything. */
  | 'volatile'
  /** The catalog does not know the function. */
  | 'unknown'

/** A function, as the catalog or a text names it. */
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

/** What a function may leave in the session that calls it. */
export interface Leaves {
  /** A setting that this package cannot follow. */
  readonly sets: boolean
  /** Something that no other session has: a lock, a temporary table, a channel. */
  readonly binds: boolean
}

export const LEAVES_NOTHING: Leaves = { sets: false, binds: false }
/** For a function that the catalog does not know. */
export const MAY_BIND: Leaves = { sets: false, binds: true }

/** The effects of the functions of a database, by name and by object identifier. */
export class FunctionFacts {
  readonly #all = new Set<string>()
  readonly #ofApplication = new Set<string>()
  readonly #volatile = new Set<string>()
  readonly #volatileOfApplication = new Set<string>()
  /** The application's functions that may advance a sequence. */
  readonly #sequenceOfApplication = new Set<string>()
  /** The names of functions that are declared stable or immutable, but run something that cannot be read beforehand. */
  readonly #opaque = new Set<string>()
  /** The names of functions that can be called with one argument: `(x).f` calls them. */
  readonly #withOneArgument = new Set<string>()
  /**
   * What the application's functions may leave in the session, by their names, and what the triggers of a table may
   * leave, by the table's name.
   */
  readonly #sessionEffects = new Map<string, Leaves>()
  /** The functions that may do more than read, by object identifier. */
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
      if (takes_one) this.#withOneArgument.add(name)
      const oid = oids[at]
      if (oid !== undefined && this.#isEffectful({ schema, name }, is_volatile, is_own)) {
        const advances = !is_own && UNSEEN_FUNCTIONS.has(name)
        this.effectful.set(oid, { oid, schema, name, isOwn: is_own, advances })
      }
    }
  }

  /**
   * Adds a function of the application that is declared stable or immutable, but runs something that cannot be read
   * beforehand.
   */
  addOpaque(name: string): void {
    this.#opaque.add(name)
  }

  /**
   * Adds what a function of the application, or a trigger of a table, may leave in the session. Gives false if that
   * was known.
   */
  addSessionEffect({
    sets,
    binds,
    ...name
  }: Leaves & { readonly schema: string; readonly name: string }): boolean {
    let isNew = false
    for (const key of keysOf(name)) {
      const known = this.#sessionEffects.get(key)
      if ((known?.sets || !sets) && (known?.binds || !binds)) continue
      this.#sessionEffects.set(key, {
        sets: sets || known?.sets === true,
        binds: binds || known?.binds === true,
      })
      isNew = true
    }
    return isNew
  }

  get hasSessionEffects(): boolean {
    return this.#sessionEffects.size > 0
  }

  /** What a call may leave in its session. An unknown function may bind the session. */
  leftBy(call: FunctionCall): Leaves {
    const key = keyOf(call)
    if (this.isColumn(call) || this.#types.has(key)) return LEAVES_NOTHING
    return this.#sessionEffects.get(key) ?? (this.#all.has(key) || isSyntax(call) ? LEAVES_NOTHING : MAY_BIND)
  }

  /** Records that these functions of the application may advance a sequence. */
  addAdvancing(oids: readonly string[]): void {
    for (const oid of oids) {
      const known = this.effectful.get(oid)
      if (known === undefined) continue
      this.effectful.set(oid, { ...known, advances: true })
      for (const key of keysOf(known)) this.#sequenceOfApplication.add(key)
    }
  }

  addTypes({ schema, names }: TypeRow): void {
    for (const name of names) for (const key of keysOf({ schema, name })) this.#types.add(key)
  }

  /** Adds a function that is declared stable or immutable, but calls or reads something that does more than read. */
  addCaller(caller: EffectfulFunction, because: string): void {
    this.#name(caller, true, true)
    for (const key of keysOf(caller)) if (!this.#because.has(key)) this.#because.set(key, because)
    if (caller.advances) for (const key of keysOf(caller)) this.#sequenceOfApplication.add(key)
    this.effectful.set(caller.oid, caller)
  }

  /**
   * Why a function counts as doing more than its declaration says: the object that it calls or reads. Undefined if
   * the declaration itself says it, or if it does no more.
   */
  becauseOf(call: FunctionName): string | undefined {
    return this.#because.get(keyOf(call))
  }

  /** The effect of a call by the catalog alone, without the options. The worst overload of a function counts. */
  effectOf(call: FunctionCall): CallEffect {
    if (this.isColumn(call)) return 'none'
    const key = keyOf(call)
    if (this.#sequenceOfApplication.has(key)) return 'sequence'
    // A function of the application may have the name of a known one, and do anything.
    if (this.#volatileOfApplication.has(key)) return 'volatile'
    if (this.#all.has(key)) return knownEffect(call.name) ?? (this.#volatile.has(key) ? 'volatile' : 'none')
    // The effect of a cast to a type, such as a domain, is among the facts on relations.
    return isSyntax(call) || this.#types.has(key) ? 'none' : 'unknown'
  }

  /** Whether it is a column, and no call: `(x).f` is a call only if a function of one argument has that name. */
  isColumn({ name, isAttribute }: FunctionCall): boolean {
    return isAttribute === true && !this.#withOneArgument.has(name)
  }

  /**
   * Whether the function is declared stable or immutable, but runs something that cannot be read beforehand. Nothing
   * vouches for such a call.
   */
  isOpaque({ name }: FunctionName): boolean {
    return this.#opaque.has(name)
  }

  /** Whether a function of the application has this name: one that is neither PostgreSQL's nor an extension's. */
  isOwn(call: FunctionName): boolean {
    return this.#ofApplication.has(keyOf(call))
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
      if (isOwn) this.#ofApplication.add(key)
      if (isVolatile) this.#volatile.add(key)
      if (isVolatile && isOwn) this.#volatileOfApplication.add(key)
    }
  }
}

/** The effects of functions that the options set, whatever the server declares. */
export class FunctionRules {
  readonly #primaryFunctions: ReadonlySet<string>
  /** The same names, without their schemas. */
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

  /** The effect that the options give to a function; undefined if they do not name it. */
  effectOf({ schema, name }: FunctionName): 'none' | 'volatile' | undefined {
    const qualified = schema === undefined ? name : `${schema}.${name}`
    // A call without a schema may mean any function of that name: doubt means primary.
    if (schema === undefined && this.#primaryNames.has(name)) return 'volatile'
    if (this.#primaryFunctions.has(name) || this.#primaryFunctions.has(qualified)) return 'volatile'
    return this.#replicaFunctions.has(name) || this.#replicaFunctions.has(qualified) ? 'none' : undefined
  }
}

/** A function's name as a key. Without a schema, it stands for any function of that name. */
export function keyOf({ schema, name }: FunctionName): string {
  return schema === undefined ? name : `${schema}.${name}`
}

/** A function's keys: a call may name it with or without its schema. */
export function keysOf({ schema, name }: { readonly schema: string; readonly name: string }): string[] {
  return [name, `${schema}.${name}`]
}

// `over (`, `by (`, `filter (`: syntax, unless there is a function of that name.
export function isSyntax({ schema, isKeyWord }: FunctionCall): boolean {
  return schema === undefined && isKeyWord
}

function withoutSchema(qualified: string): string {
  return qualified.slice(qualified.lastIndexOf('.') + 1)
}
