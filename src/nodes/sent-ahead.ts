/**
 * Statements that are sent in front of another one, in the same message, so that they cost no round trip. They are a transaction of their
 * own (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING): where one is refused, the server skips all up to
 * the end of the message, so that what follows them never runs without them; and what follows takes nothing of theirs back when it fails.
 */

/** The part of `pg`'s `Connection` that is used here. */
export interface WireConnection {
  readonly stream?: { cork?(): void; uncork?(): void }
  parse(message: { readonly text: string }, ...rest: readonly unknown[]): unknown
  bind(message: object, ...rest: readonly unknown[]): unknown
  execute(message: object, ...rest: readonly unknown[]): unknown
  query(text: string, ...rest: readonly unknown[]): unknown
  sync(): unknown
  emit(event: string, ...args: readonly unknown[]): boolean
}

/** Whether a client speaks the protocol by itself, as `pg`'s own does, and can have something sent ahead. */
export function canSendAhead(connection: unknown): connection is WireConnection {
  if (typeof connection !== 'object' || connection === null) return false
  const { parse, bind, execute, query, sync, emit } = connection as Partial<WireConnection>
  return [parse, bind, execute, query, sync, emit].every((each) => typeof each === 'function')
}

/** With one of these each statement begins. */
const FIRST_MESSAGES = ['parse', 'bind', 'query'] as const

/**
 * Has these statements sent in front of whatever is sent next on this connection, on which nothing may be under way. `answered` is told
 * once the server has run them all, or with the error that it refused one with, which is then the next statement's, too.
 */
export function sendAhead(
  connection: WireConnection,
  statements: readonly string[],
  answered: (error: unknown) => void,
): void {
  const real = overridden(connection, FIRST_MESSAGES, (name, send) => {
    real.restore()
    connection.stream?.cork?.()
    try {
      const texts = ['begin isolation level read committed', ...statements, 'commit']
      for (const text of texts) {
        connection.parse({ text })
        connection.bind({})
        connection.execute({})
      }
      hearAnswers(connection, texts.length, name === 'query', answered)
      return send()
    } finally {
      connection.stream?.uncork?.()
    }
  })
}

/** Keeps what the server answers to so many statements from whoever has sent the next one. */
function hearAnswers(
  connection: WireConnection,
  count: number,
  isSimple: boolean,
  answered: (error: unknown) => void,
): void {
  let left = count
  const real = overridden(connection, ['emit'], (_name, tell, [event, message]) => {
    if (event === 'errorMessage') {
      real.restore()
      answered(message)
      const wasHeard = tell()
      // All is skipped up to the end of a message, and a text that is sent as it is has none.
      if (isSimple) connection.sync()
      return wasHeard
    }
    if (!ANSWERS.has(String(event))) return tell()
    if (event === 'commandComplete' && --left === 0) {
      real.restore()
      answered(undefined)
    }
    return true
  })
}

const ANSWERS: ReadonlySet<string> = new Set(['parseComplete', 'bindComplete', 'dataRow', 'commandComplete'])

/** Has methods of one object do something else, until they are restored. */
function overridden<Name extends string>(
  object: object,
  names: readonly Name[],
  instead: (name: Name, call: () => unknown, args: readonly unknown[]) => unknown,
): { restore(): void } {
  const before = names.map((name) => Object.getOwnPropertyDescriptor(object, name))
  const methods = object as Record<Name, (...args: readonly unknown[]) => unknown>
  for (const name of names) {
    const method = methods[name]
    Object.defineProperty(object, name, {
      configurable: true,
      writable: true,
      value: (...args: readonly unknown[]) => instead(name, () => method.apply(object, [...args]), args),
    })
  }
  return {
    restore: () => {
      for (const [at, name] of names.entries()) {
        const descriptor = before[at]
        if (descriptor === undefined) delete methods[name]
        else Object.defineProperty(object, name, descriptor)
      }
    },
  }
}
