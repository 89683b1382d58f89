import { Readable } from 'node:stream'
import { ReadableStream } from 'node:stream/web'
import { WritePinningError } from '../errors.ts'
import { type RoutingContext, runInContext } from './context.ts'

/**
 * Keeps what a scope returns from running outside that scope. A lazy thenable is started inside. A stream keeps the
 * scope in which it was made. A query that was not executed is an error.
 *
 * @throws {WritePinningError} `ERR_WRITE_PINNING_NOT_EXECUTED` for such a query.
 */
export function keepInScope<T>(scopeName: string, context: RoutingContext | undefined, result: T): T {
  if (typeof result !== 'object' || result === null) return result
  if (isUnexecutedQuery(result) || (Array.isArray(result) && result.some(isUnexecutedQuery))) {
    throw notExecuted(scopeName)
  }
  if (isThenable(result)) {
    const keep = (value: unknown) => keepInScope(scopeName, context, value)
    if (isPlainPromise(result)) return result.then(keep) as T
    // Some query builders start only when their `then` is called, which would be outside the scope.
    const started = new Promise((resolve, reject) => {
      runInContext(context, () => result.then(resolve, reject))
    })
    return started.then(keep) as T
  }
  if (isAsyncGenerator(result)) return boundGenerator(context, result) as T
  if (result instanceof ReadableStream) return boundWebStream(context, result) as T
  if (result instanceof Readable) bindReadable(context, result)
  return result
}

// `Readable.from(query.stream())` asks for its first row when it is read, which is outside the scope.
function bindReadable(context: RoutingContext | undefined, stream: Readable): void {
  const read = stream._read
  stream._read = function (size) {
    runInContext(context, () => read.call(this, size))
  }
}

/**
 * Gives a web stream that reads `inner` in a context. How a web stream itself reads cannot be changed, so this one
 * wraps it. Two kinds of streams are given back as they are: a stream that is being read already, and a stream of
 * bytes, which may be read into its reader's own memory.
 */
function boundWebStream(context: RoutingContext | undefined, inner: ReadableStream): ReadableStream {
  if (inner.locked || isOfBytes(inner)) return inner
  const reader = inner.getReader()
  return new ReadableStream(
    {
      async pull(controller) {
        const { done, value } = await runInContext(context, () => reader.read())
        if (done) controller.close()
        else controller.enqueue(value)
      },
      cancel: (reason) => runInContext(context, () => reader.cancel(reason)),
    },
    // Nothing is read before the stream's own reader asks for it.
    { highWaterMark: 0 },
  )
}

function isOfBytes(stream: ReadableStream): boolean {
  try {
    stream.getReader({ mode: 'byob' }).releaseLock()
    return true
  } catch {
    return false
  }
}

function boundGenerator(context: RoutingContext | undefined, inner: AsyncGenerator): AsyncGenerator {
  const bound: Pick<AsyncGenerator, 'next' | 'return' | 'throw' | typeof Symbol.asyncIterator> &
    AsyncDisposable = {
    next: (...args) => runInContext(context, () => inner.next(...args)),
    return: (value) => runInContext(context, () => inner.return(value)),
    throw: (error) => runInContext(context, () => inner.throw(error)),
    [Symbol.asyncIterator]: () => bound as AsyncGenerator,
    [Symbol.asyncDispose]: async () => {
      await bound.return(undefined)
    },
  }
  return bound as AsyncGenerator
}

// A subclass may be a query, which starts when its `then` is called.
function isPlainPromise(value: PromiseLike<unknown>): value is Promise<unknown> {
  return Object.getPrototypeOf(value) === Promise.prototype
}

function isThenable(value: object): value is PromiseLike<unknown> {
  return 'then' in value && typeof value.then === 'function'
}

function isAsyncGenerator(value: object): value is AsyncGenerator {
  return Object.prototype.toString.call(value) === '[object AsyncGenerator]'
}

// Kysely's builders have these methods. An application's own object may have an `execute`, but not the others.
function isUnexecutedQuery(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (!('execute' in value) || typeof value.execute !== 'function') return false
  return 'toOperationNode' in value || 'setIsolationLevel' in value
}

function notExecuted(scopeName: string): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_NOT_EXECUTED',
    `${scopeName}() was given back a query that has not been executed; it would run outside the scope. ` +
      'Call `.execute()` (or `.executeTakeFirst()`, …) inside the function.',
  )
}
