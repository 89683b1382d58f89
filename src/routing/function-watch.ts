import { warn } from '../diagnostics.ts'
import type { Blocker } from '../sql/classifier.ts'

/** How many statements a function must keep from the replicas before a warning names it. */
const MANY_STATEMENTS = 20
/** How many functions are counted. An application has a handful. */
const MAX_FUNCTIONS = 1_000

/**
 * Notices a function of the application's that keeps sending reads to the primary. A statement, a view or a policy may
 * call it. Functions are volatile unless they are declared otherwise, and few people know this. Each is named once.
 */
export class FunctionWatch {
  readonly #cluster: string
  readonly #counts = new Map<string, number>()

  constructor(cluster: string) {
    this.#cluster = cluster
  }

  keptFromReplica(blocker: Blocker | undefined): void {
    const what = blocker && whatKeeps(blocker)
    if (what === undefined) return
    const count = (this.#counts.get(what.key) ?? 0) + 1
    if (count > MANY_STATEMENTS || (count === 1 && this.#counts.size >= MAX_FUNCTIONS)) return
    this.#counts.set(what.key, count)
    if (count < MANY_STATEMENTS) return
    warn(
      'WRITE_PINNING_VOLATILE_FUNCTION',
      `${what.subject} keeps sending statements of cluster '${this.#cluster}' to the primary, and pins who sends them, ` +
        `because ${what.because}. If it only reads, ${what.cure}name it in the dialect's \`replicaFunctions\`.`,
    )
  }
}

interface Kept {
  readonly key: string
  readonly subject: string
  readonly because: string
  readonly cure: string
}

/** What keeps statements from the replicas, in the words of the warning; undefined if nobody can change that. */
function whatKeeps(blocker: Blocker): Kept | undefined {
  if (blocker.kind === 'function') {
    const { call, because } = blocker
    if (call.schema === 'pg_catalog' || call.name.startsWith('pg_')) return undefined
    const name = call.schema === undefined ? call.name : `${call.schema}.${call.name}`
    const subject = `The function ${name}()`
    if (because === undefined) return { key: name, subject, because: `it is ${VOLATILE}`, cure: DECLARE }
    return {
      key: name,
      subject,
      because: `it calls or reads ${because}, which may do more than read`,
      cure: '',
    }
  }
  const { function: name, policy, table } = blocker.cause
  if (name === undefined) return undefined
  const relation =
    blocker.relation.schema === undefined
      ? blocker.relation.table
      : `${blocker.relation.schema}.${blocker.relation.table}`
  const by = policy === undefined ? '' : ` by the policy ${policy} of ${table}`
  return {
    key: `${relation} ${policy} ${name}`,
    subject: `The reading of ${relation}`,
    because: `it calls the function ${name}()${by}, and that is ${VOLATILE}, or calls what is`,
    cure: DECLARE,
  }
}

const VOLATILE = 'declared volatile, which is the default'
const DECLARE = 'declare it `stable`, or '
