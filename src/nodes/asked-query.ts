import type { ClientClass } from './pool.ts'

/**
 * Questions that are sent together with a statement: one right before it, one right after it, on its session.
 *
 * They are in the statement's message, before its Sync. So they cost no round trip, and a pooler sends all of it to
 * one server. The session must be at `read committed`: then the statement sees at least what the question before it
 * saw (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY). A question must never
 * fail.
 */
interface Questions {
  readonly before?: string | undefined
  readonly after?: string | undefined
}

/** The first row of each answer, as texts. Undefined if no such question was asked, or if no answer came. */
interface Answers {
  before: AnswerRow | undefined
  after: AnswerRow | undefined
}

export type AnswerRow = readonly (string | null)[]

/** A question that was asked before or after a statement, and its answer. */
export interface Answered {
  readonly client: object
  readonly askedAtMs: number
  readonly question: string
  readonly answer: AnswerRow
}

/** A client that can ask questions before and after its next statement. */
export interface AskingClient {
  /**
   * Asks these before and after the statement of the next `query()`. The answers are there when that call has
   * resolved.
   */
  askWithNext(questions: Questions): Answers
}

/** Whether {@link askingClient} has made the class of this client. */
export function canAsk(client: object): client is AskingClient {
  return 'askWithNext' in client
}

/**
 * Extends a pool's client class so that its clients can ask questions before and after a statement. Gives the class
 * unchanged if it is not one of `pg`'s that speak the protocol themselves (`pg.native` does not).
 */
export function askingClient(Given: ClientClass): ClientClass {
  const { Query } = Given as { readonly Query?: unknown }
  if (!isQueryClass(Query)) return Given
  return class extends Given implements AskingClient {
    #next: { readonly questions: Questions; readonly answers: Answers } | undefined

    askWithNext(questions: Questions): Answers {
      const answers: Answers = { before: undefined, after: undefined }
      this.#next = { questions, answers }
      return answers
    }

    override query(...args: readonly unknown[]): unknown {
      const next = this.#next
      if (next === undefined) return super.query(...args)
      this.#next = undefined
      const [text, values] = args
      return new Promise((resolve, reject) => {
        const callback = (error: unknown, result: unknown) => (error ? reject(error) : resolve(result))
        const query = new (askedQuery(Query))(text, values, callback)
        query.ask(next.questions, next.answers, (text as { query_timeout?: unknown }).query_timeout)
        super.query(query)
      })
    }
  }
}

/** The part of `pg`'s `Query` that is used here. */
interface PgQuery {
  readonly portal: string
  name: string | undefined
  rows: number | undefined
  query_timeout?: unknown
  requiresPreparation(): boolean
  prepare(connection: PgConnection): void
  _getRows(connection: PgConnection, rows: unknown): void
  handleDataRow(message: { readonly fields: AnswerRow }): void
  handleCommandComplete(message: unknown, connection: PgConnection): void
  handleEmptyQuery(connection: PgConnection): void
}

type QueryClass = new (text: unknown, values: unknown, callback: unknown) => PgQuery

/** The part of `pg`'s `Connection` that is used here. Each method sends one message of the protocol. */
interface PgConnection {
  parse(message: { readonly text: string }): void
  bind(message: object): void
  execute(message: object): void
  sync(): void
}

function isQueryClass(value: unknown): value is QueryClass {
  if (typeof value !== 'function') return false
  const { prepare, _getRows, handleDataRow, handleCommandComplete } = value.prototype as Partial<PgQuery>
  return [prepare, _getRows, handleDataRow, handleCommandComplete].every((each) => typeof each === 'function')
}

type AskedQuery = PgQuery & { ask(questions: Questions, answers: Answers, timeoutMs: unknown): void }

const classes = new WeakMap<QueryClass, new (...args: ConstructorParameters<QueryClass>) => AskedQuery>()

/** A subclass of `pg`'s `Query` that sends a statement together with its questions. */
function askedQuery(Query: QueryClass) {
  const known = classes.get(Query)
  if (known !== undefined) return known
  const Asked = class extends Query {
    #questions: Questions = {}
    #answers: Answers | undefined
    #name: string | undefined
    /** What the messages that arrive now belong to. */
    #part: 'before' | 'statement' | 'after' = 'statement'

    ask(questions: Questions, answers: Answers, timeoutMs: unknown): void {
      this.#questions = questions
      this.#answers = answers
      // All rows at once. In portions, each portion would end with a Sync of its own.
      this.rows = undefined
      this.query_timeout = timeoutMs
    }

    // Forces the extended protocol: a simple query ends with a Sync of its own, so no question could go along with it.
    override requiresPreparation(): boolean {
      return true
    }

    override prepare(connection: PgConnection): void {
      const { before } = this.#questions
      if (before !== undefined) {
        this.#part = 'before'
        send(before, connection)
      }
      super.prepare(connection)
      if (before === undefined) return
      // The next ParseComplete answers the question, but `pg` would take it for that of the statement with this name.
      // So the statement has no name until the question is answered.
      this.#name = this.name
      this.name = undefined
    }

    override _getRows(connection: PgConnection): void {
      const { after } = this.#questions
      connection.execute({ portal: this.portal })
      if (after !== undefined) send(after, connection)
      connection.sync()
    }

    override handleDataRow(message: { readonly fields: AnswerRow }): void {
      if (this.#part === 'statement') super.handleDataRow(message)
      else if (this.#answers !== undefined) this.#answers[this.#part] = message.fields
    }

    override handleCommandComplete(message: unknown, connection: PgConnection): void {
      if (this.#part === 'before') {
        this.#part = 'statement'
        this.name = this.#name
      } else if (this.#part === 'statement') {
        super.handleCommandComplete(message, connection)
        this.#part = 'after'
      }
    }

    override handleEmptyQuery(connection: PgConnection): void {
      super.handleEmptyQuery(connection)
      this.#part = 'after'
    }
  }
  classes.set(Query, Asked)
  return Asked
}

/**
 * Sends no Describe, so the answer's rows come without a description. `pg` would take that description for the
 * statement's.
 */
function send(question: string, connection: PgConnection): void {
  connection.parse({ text: question })
  connection.bind({})
  connection.execute({})
}
