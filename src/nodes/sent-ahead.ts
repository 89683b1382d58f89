/**
 * Statements that are sent in front of another one, in the same message, so that they cost no round trip. They are a
 * transaction of their own (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING). If
 * the server refuses one, it skips everything up to the end of the message. So what follows never runs without them.
 * If what follows fails, their effect stays.
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

/** Whether a connection speaks the protocol itself, as `pg`'s own does, so that something can be sent ahead on it. */
export function canSendAhead(connection: unknown): connection is WireConnection {
  if (typeof connection !== 'object' || connection === null) return false
  const { parse, bind, execute, query, sync, emit } = connection as Partial<WireConnection>
  return [parse, bind, execute, query, sync, emit].every((each) => typeof each === 'function')
}

/** Each statement begins with one of these. */
const FIRST_MESSAGES = ['parse', 'bind', 'query'] as const

/**
 * Sends these statements in front of the next one on this connection. No other statement may be under way on it.
 * `answered` is called when the server has run them all, or with the error of the one that it refused. The next
 * statement gets that error too.
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

/** Hides the server's answers to these statements from the caller of the next statement. */
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
      // The server skips everything up to a Sync, and a simple query has none.
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

/** Replaces methods of one object until they are restored. */
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
