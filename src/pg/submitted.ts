import { AsyncResource } from 'node:async_hooks'
import type { EventEmitter } from 'node:events'
import type { Submittable } from 'pg'
import { isRefusal } from '../nodes/error-meaning.ts'
import type { Session } from '../nodes/session.ts'
import type { Mark, Query } from '../routing/query.ts'
import { ReadDeadline } from '../routing/read-deadline.ts'
import { markOf } from './marks.ts'
import { type ProtocolConnection, RepeatableConnection } from './repeatable-connection.ts'
import type { QueryDefaults } from './statement.ts'
import { withoutTakenName } from './statement-names.ts'

/** What `pg` calls on a `Submittable` as its answer arrives (https://node-postgres.com/apis/cursor is one). */
type Handlers = Submittable & {
  text?: unknown
  name?: unknown
  callback?: unknown
  binary?: unknown
  query_timeout?: unknown
  _result?: { _types?: unknown } | null
  readonly cursor?: { readonly text?: unknown }
  readonly readableEnded?: boolean
} & Partial<Record<(typeof HANDLERS)[number], (...args: readonly unknown[]) => void>> & {
    handleError(error: unknown, connection: unknown): void
    handleReadyForQuery?(connection: unknown): void
  }

const HANDLERS = [
  'handleRowDescription',
  'handleDataRow',
  'handlePortalSuspended',
  'handleEmptyQuery',
  'handleCommandComplete',
  'handleCopyInResponse',
  'handleCopyData',
] as const
/** With the first of these calls, it gets a part of the answer. */
const DELIVERIES: ReadonlySet<string> = new Set([
  'handleDataRow',
  'handlePortalSuspended',
  'handleEmptyQuery',
  'handleCommandComplete',
  'handleCopyInResponse',
  'handleCopyData',
])

/**
 * The kinds of a `Submittable`.
 *
 * - `'cursor'`: it sends its messages one after the other, so they must be remembered
 * - `'query'`: a `Query` of `pg`. It sends everything at once, and can be submitted again
 * - `'copy'`: it reads and writes the socket itself
 */
type Kind = 'cursor' | 'query' | 'copy'

function kindOf(given: Submittable): Kind {
  if ('requiresPreparation' in given) return 'query'
  return 'handlePortalSuspended' in given ? 'cursor' : 'copy'
}

export function isSubmittable(query: unknown): query is Submittable {
  return typeof (query as Partial<Submittable> | null | undefined)?.submit === 'function'
}

/**
 * A cursor, a stream, a COPY: an object to which `pg` hands its connection. A cursor gets a stand-in for the
 * connection. Until the object has a part of the answer, it can be sent to another node. It gets an error only if no
 * other node will run it.
 */
export class SubmittedQuery implements Query<void> {
  readonly #given: Handlers
  readonly #kind: Kind
  readonly #resource = new AsyncResource('write-pinning.Submitted')
  readonly #connection: RepeatableConnection | undefined
  #hasSubmitted = false
  /** Whether it has a part of the answer. */
  #hasDelivered = false
  #hasFailed = false
  readonly #name: unknown
  readonly #sharesSessions: boolean
  readonly text: string
  readonly mark: Mark | undefined
  signal: AbortSignal | undefined

  constructor(given: Submittable, { types, sharesSessions }: QueryDefaults = {}) {
    this.#given = given as Handlers
    this.#name = this.#given.name
    this.#sharesSessions = sharesSessions === true
    this.#kind = kindOf(given)
    this.#connection = this.#kind === 'cursor' ? new RepeatableConnection() : undefined
    this.text = textOf(this.#given)
    const mark = markOf(given)
    this.mark = mark === 'or-primary' ? undefined : mark
    const { _result: result } = this.#given
    if (types !== undefined && result) result._types ??= types
    // Submits it at once, as `pg` does. What a caller asks of it before it has a session is then remembered in the
    // right order.
    if (this.#connection !== undefined) this.#given.submit(this.#connection as never)
  }

  get values(): undefined {
    return undefined
  }

  /** Keeps it from being sent, if it was not sent yet. */
  cancel(because: Error): void {
    this.signal = AbortSignal.abort(because)
  }

  get allowsQuestions(): boolean {
    return false
  }

  get appliesTimeout(): boolean {
    return true
  }

  get mayBeSentAgain(): boolean {
    if (!this.#hasSubmitted) return true
    return this.#kind !== 'copy' && !this.#hasDelivered && this.#connection?.isClosed !== true
  }

  affectedBy(): undefined {
    return undefined
  }

  isEmpty(): boolean {
    return false
  }

  /** Submits it. Resolves when the server has answered everything. `timeoutMs` limits the first part of the answer. */
  send(session: Session, timeoutMs: number | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      let hear = () => {}
      const answering = this.#handlersFor(session, resolve, reject, () => hear())
      if (timeoutMs !== undefined) {
        const first = new Promise<void>((onFirstPart) => {
          hear = onFirstPart
        })
        new ReadDeadline(timeoutMs).within(first, session).catch(reject)
      }
      session.client.query(answering)
    })
  }

  /** Tells the object that the whole answer has arrived. Called once the effect of the query was recorded. */
  finish(): void {
    if (this.#hasFailed) return
    this.#tell(() => this.#given.handleReadyForQuery?.(this.#connection))
    this.#connection?.end()
  }

  /** Tells the object that it has failed, unless it was told so before. */
  fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#connection?.stopRecording()
    this.#tell(() => this.#given.handleError(error, this.#connection))
    this.#connection?.end()
  }

  /**
   * Runs in the context of the query's caller, not in that of the socket. An error that a listener throws, or an
   * `error` without a listener, is thrown in the next tick. Otherwise `pg` would not read the rest of the answer.
   */
  #tell(what: () => void): void {
    this.#resource.runInAsyncScope(() => {
      try {
        what()
      } catch (error) {
        process.nextTick(() => {
          throw error
        })
      }
    })
  }

  /** The name under which the query is sent; undefined if the session may have another statement of that name. */
  #nameOn(client: Session['client']): unknown {
    const config = { name: this.#name, text: this.#given.text }
    return (withoutTakenName(config, client, this.#sharesSessions) as Partial<typeof config>).name
  }

  /**
   * The object that `pg` gets instead of the `Submittable`. It passes everything on, but keeps back an error while
   * another node may still run the query.
   */
  #handlersFor(
    { client }: Session,
    resolve: () => void,
    reject: (error: unknown) => void,
    onFirstPart: () => void,
  ): Submittable {
    const given = this.#given
    const standIn = this.#connection
    let failure: { readonly error: unknown } | undefined
    const isOver = () => {
      onFirstPart()
      if (this.#hasFailed) standIn?.end()
      else standIn?.detach()
      if (this.#kind === 'query') given.name = this.#name
      if (failure === undefined) resolve()
      else reject(failure.error)
    }
    const handlers: Record<string, unknown> = {
      submit: (real: ProtocolConnection) => {
        this.#hasSubmitted = true
        standIn?.attach(real)
        if (this.#kind === 'query') given.name = this.#nameOn(client)
        return standIn === undefined ? given.submit(real as never) : undefined
      },
      handleError: (error: unknown, real: ProtocolConnection) => {
        failure ??= { error }
        const isAnswered = isRefusal(error)
        // `pg` calls no handler when an answer with an error ends, or when the connection is lost before that.
        if (isAnswered) onceEither(real, 'readyForQuery', 'end', isOver)
        if (!this.mayBeSentAgain) {
          this.#hasFailed = true
          standIn?.fail()
          // A COPY that has given its last row has no listener any more, so its `error` would be thrown.
          if (given.readableEnded !== true) this.#tell(() => given.handleError(error, standIn ?? real))
        } else if (isAnswered) {
          standIn?.endAnswer()
          // What the cursor sends until another node runs it is remembered, and goes to that node.
          standIn?.detach()
        }
        if (!isAnswered) isOver()
      },
      handleReadyForQuery: isOver,
    }
    for (const name of HANDLERS) {
      if (given[name] === undefined) continue
      handlers[name] = (first: unknown, second: unknown) => {
        if (DELIVERIES.has(name)) {
          this.#hasDelivered = true
          standIn?.stopRecording()
          onFirstPart()
        }
        const args = standIn === undefined ? [first, second] : withStandIn(standIn, first, second)
        this.#tell(() => given[name]?.(...args))
      }
    }
    for (const name of PROPERTIES) {
      Object.defineProperty(handlers, name, {
        get: () => given[name],
        set: (value: unknown) => {
          Object.assign(given, { [name]: value })
        },
      })
    }
    return handlers as unknown as Submittable
  }
}

function onceEither(of: EventEmitter, one: string, other: string, listener: () => void): void {
  const hear = () => {
    of.off(one, hear).off(other, hear)
    listener()
  }
  of.on(one, hear).on(other, hear)
}

/** The properties that `pg` reads and sets. */
const PROPERTIES = ['text', 'name', 'callback', 'binary', 'query_timeout', '_result'] as const

/** The arguments of a handler. If the last one is the connection, the stand-in takes its place. */
function withStandIn(standIn: RepeatableConnection, first: unknown, second: unknown): unknown[] {
  if (second !== undefined) return [first, standIn]
  return isConnection(first) ? [standIn] : [first]
}

function isConnection(value: unknown): boolean {
  return typeof (value as Partial<ProtocolConnection> | undefined)?.sync === 'function'
}

/** The text that it will send. If it shows no text, it may do anything. */
function textOf({ text, cursor }: Handlers): string {
  const its = text ?? cursor?.text
  return typeof its === 'string' ? its : UNKNOWN_TEXT
}

const UNKNOWN_TEXT = 'do'
