import { readFingerprint } from '../sql/catalog-fingerprint.ts'
import type { FunctionFacts } from '../sql/function-facts.ts'
import {
  type Ask,
  CatalogMemory,
  type CatalogOptions,
  type FunctionsReading,
  readFunctions,
  readRelations,
} from '../sql/read-catalog.ts'
import { asOfLate, NO_RELATIONS, type RelationFacts } from '../sql/relation-facts.ts'
import type { CatalogServer } from './catalog-source.ts'

/**
 * What has been read of a database's catalog, in two halves, and what tells that one of them has changed: first the functions, then the
 * relations, which hang on them. A half is read again only where it has changed, and of what is dear to read in it only what has.
 */
export class CatalogKnowledge {
  readonly #options: CatalogOptions
  #database: string | undefined
  #memory = new CatalogMemory()
  #functions: FunctionsReading | undefined
  #relations: RelationFacts = NO_RELATIONS
  /** The fingerprints of what was read; undefined where they are not known, so that it is read again whatever the server says. */
  #functionsPrint: string | undefined
  #relationsPrint: string | undefined

  constructor(options: CatalogOptions) {
    this.#options = options
  }

  /** What the functions do; undefined where they were never read. */
  get functions(): FunctionFacts | undefined {
    return this.#functions?.facts
  }

  /** What the relations do; what a late replica has said of them vouches for nothing. */
  get relations(): RelationFacts {
    return this.#relations
  }

  /** Reads the functions, where they have changed; gives whether they have. */
  async readFunctions(server: CatalogServer): Promise<boolean> {
    if (server.database !== this.#database) this.#forget()
    this.#database = server.database
    const print = await fingerprintOf(server, 'functions')
    if (print !== undefined && print === this.#functionsPrint) return false
    await server.within((ask) => this.readFunctionsWithin(ask))
    this.#functionsPrint = print
    return true
  }

  /** Reads the functions, whether they have changed or not. */
  async readFunctionsWithin(ask: Ask): Promise<void> {
    this.#functions = await readFunctions(ask, this.#options, this.#memory)
    this.#functionsPrint = undefined
    // What a relation does hangs on what the functions do that it calls.
    this.#relationsPrint = undefined
  }

  /** How to read the relations; undefined where they have not changed since. `between` is called before each question. */
  async changedRelations(
    server: CatalogServer,
    between: (ask: Ask) => Promise<void>,
  ): Promise<(() => Promise<void>) | undefined> {
    const functions = this.#functions
    const print = await fingerprintOf(server, 'relations')
    if (functions === undefined || (print !== undefined && print === this.#relationsPrint)) return undefined
    return async () => {
      this.#relationsPrint = undefined
      const relations = await server.within((ask) => {
        const askBetween: Ask = async <Row>(text: string, values: readonly unknown[]) => {
          await between(ask)
          return await ask<Row>(text, values)
        }
        return readRelations(askBetween, functions, this.#options, this.#memory)
      })
      this.#relations = server.isLate ? asOfLate(relations) : relations
      // Otherwise they hang on functions that have been read once more meanwhile.
      if (functions === this.#functions) this.#relationsPrint = print
    }
  }

  /** It is another database: its objects may have the same identifiers. What is known serves until that one is read. */
  #forget(): void {
    this.#memory = new CatalogMemory()
    this.#functionsPrint = undefined
    this.#relationsPrint = undefined
  }
}

/** Undefined where the server does not tell, or is late: then whatever it says is read, and again as soon as there is a better one. */
async function fingerprintOf(
  server: CatalogServer,
  half: 'functions' | 'relations',
): Promise<string | undefined> {
  if (server.isLate) return undefined
  try {
    return await server.within((ask) => readFingerprint(ask, half))
  } catch {
    // Where more is wrong than that, the next question says so.
    return undefined
  }
}
