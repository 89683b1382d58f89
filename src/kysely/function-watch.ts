import { warn } from '../diagnostics.ts'
import type { FunctionCall } from '../sql/statement-text.ts'

/** After how many statements that it keeps from the replicas a function is worth a warning. */
const MANY_STATEMENTS = 20
/** Of how many functions it is counted; an application has a handful. */
const MAX_FUNCTIONS = 1_000

/**
 * Notices a function of the application's that keeps sending reads to the primary: functions are volatile unless they are
 * declared otherwise, and few people know. Each is named once.
 */
export class FunctionWatch {
  readonly #cluster: string
  readonly #counts = new Map<string, number>()

  constructor(cluster: string) {
    this.#cluster = cluster
  }

  /** `call` is undefined where it was a view, whose definition tells. */
  keptFromReplica(call: FunctionCall | undefined): void {
    if (call === undefined || call.schema === 'pg_catalog' || call.name.startsWith('pg_')) return
    const name = call.schema === undefined ? call.name : `${call.schema}.${call.name}`
    const count = (this.#counts.get(name) ?? 0) + 1
    if (count > MANY_STATEMENTS || (count === 1 && this.#counts.size >= MAX_FUNCTIONS)) return
    this.#counts.set(name, count)
    if (count < MANY_STATEMENTS) return
    warn(
      'WRITE_PINNING_VOLATILE_FUNCTION',
      `The function ${name}() keeps sending statements of cluster '${this.#cluster}' to the primary, and pins who sends ` +
        'them, because it is declared volatile, which is the default. If it only reads, declare it `stable`, or name it in ' +
        "the dialect's `replicaFunctions`.",
    )
  }
}
