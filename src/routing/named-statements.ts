import type { PoolClientLike } from '../nodes/pool.ts'
import type { Statement, StatementClassifier } from '../sql/classifier.ts'

/**
 * How many names of one session are kept, and how long a text may be to be kept. A name that is not kept counts as a
 * write.
 */
const MAX_NAMES = 1_000
const MAX_LENGTH = 8_192

interface Names {
  /** The texts of prepared statements. */
  readonly prepared: Map<string, string>
  /** The statements that declared cursors. */
  readonly cursors: Map<string, Statement>
}

/**
 * What sessions of the primary have prepared and declared. So it is known what an `execute` or a `fetch` runs. A name
 * that this process has not seen may be anything.
 */
export class NamedStatements {
  readonly #classifier: StatementClassifier
  readonly #sessions = new WeakMap<PoolClientLike, Names>()

  constructor(classifier: StatementClassifier) {
    this.#classifier = classifier
  }

  /** The statement that an `execute` or a `fetch` runs in this session. Any other statement is given back as it is. */
  resolve(statement: Statement, connection: PoolClientLike): Statement {
    const { named } = statement
    if (named?.name === undefined) return statement
    const names = this.#sessions.get(connection)
    if (named.does === 'fetch') return names?.cursors.get(named.name) ?? statement
    if (named.does !== 'execute') return statement
    const text = names?.prepared.get(named.name)
    return text === undefined ? statement : this.#classifier.classify(text)
  }

  /** Records a statement that a session has run. */
  ran(statement: Statement, connection: PoolClientLike): void {
    const { named } = statement
    if (named === undefined) {
      if (mayChangeUnseen(statement)) this.#sessions.delete(connection)
      return
    }
    const { does, name, inner } = named
    if (does === 'prepare' && name !== undefined && inner !== undefined) {
      const { prepared } = this.#namesOf(connection)
      remember(prepared, name, inner.length > MAX_LENGTH ? undefined : inner)
    } else if (does === 'declare' && name !== undefined) {
      remember(this.#namesOf(connection).cursors, name, statement)
    } else if (does === 'forget') {
      if (name === undefined) this.#sessions.delete(connection)
      else this.#sessions.get(connection)?.prepared.delete(name)
    }
  }

  #namesOf(connection: PoolClientLike): Names {
    let names = this.#sessions.get(connection)
    if (names === undefined) {
      names = { prepared: new Map(), cursors: new Map() }
      this.#sessions.set(connection, names)
    }
    return names
  }
}

function remember<T>(names: Map<string, T>, name: string, value: T | undefined): void {
  if (names.size >= MAX_NAMES) names.clear()
  if (value === undefined) names.delete(name)
  else names.set(name, value)
}

/**
 * Whether a statement may give a name another meaning without our seeing it: it calls a function, or is a text of
 * several statements.
 */
function mayChangeUnseen({ kind, isAllOrNothing }: Statement): boolean {
  return kind === 'function' || (kind === 'write' && !isAllOrNothing)
}
