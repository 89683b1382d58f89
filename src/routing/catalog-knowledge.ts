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
import { fromReplica, NO_RELATIONS, type RelationFacts } from '../sql/relation-facts.ts'
import type { CatalogServer } from './catalog-source.ts'

/**
 * What was read of a database's catalog, and the fingerprints that tell whether it has changed. There are two halves:
 * the functions, and the relations, which depend on the functions. A half is read again only if it has changed. Within
 * a half, what is expensive to read is read again only for the objects that have changed.
 */
export class CatalogKnowledge {
  readonly #options: CatalogOptions
  #database: string | undefined
  #memory = new CatalogMemory()
  #functions: FunctionsReading | undefined
  #relations: RelationFacts = NO_RELATIONS
  /**
   * The fingerprints of what was read. Undefined if unknown: then that half is read again, whatever the server says.
   */
  #functionsPrint: string | undefined
  #relationsPrint: string | undefined

  constructor(options: CatalogOptions) {
    this.#options = options
  }

  /** What the functions do; undefined if they were never read. */
  get functions(): FunctionFacts | undefined {
    return this.#functions?.facts
  }

  /**
   * What reading or writing each relation may set off. If this comes from a replica, which may lag, no table counts as
   * plain.
   */
  get relations(): RelationFacts {
    return this.#relations
  }

  /** Reads the functions if they have changed. Gives whether they have. */
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
    // What a relation does depends on what its functions do.
    this.#relationsPrint = undefined
  }

  /**
   * Gives a function that reads the relations; undefined if they have not changed. `between` is called before each
   * question.
   */
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
      this.#relations = server.isReplica ? fromReplica(relations) : relations
      // If the functions were read again meanwhile, these relations depend on the old ones.
      if (functions === this.#functions) this.#relationsPrint = print
    }
  }

  /**
   * This is another database, and its objects may have the same identifiers. What is known stays in use until the new
   * database is read.
   */
  #forget(): void {
    this.#memory = new CatalogMemory()
    this.#functionsPrint = undefined
    this.#relationsPrint = undefined
  }
}

/**
 * The fingerprint of a half. Undefined if the server does not tell, or may lag. Then the whole half is read, now and at
 * the next check.
 */
async function fingerprintOf(
  server: CatalogServer,
  half: 'functions' | 'relations',
): Promise<string | undefined> {
  if (server.isReplica) return undefined
  try {
    return await server.within((ask) => readFingerprint(ask, half))
  } catch {
    // If more is wrong than that, the next question fails.
    return undefined
  }
}
