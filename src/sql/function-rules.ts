import type { FunctionCall } from './statement-text.ts'

/** A function as the catalog or a text names it. */
export type FunctionName = Pick<FunctionCall, 'schema' | 'name'>

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

function withoutSchema(qualified: string): string {
  return qualified.slice(qualified.lastIndexOf('.') + 1)
}
