import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { fastify } from 'fastify'
import { Pool, type QueryResult } from 'pg'
import { afterEach, describe, expect, expectTypeOf, it, vi } from 'vitest'
import { bindContext, markWrite, runWithPin, usePrimary } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import { currentContext } from '../../src/freshness/context.ts'
import { openDatabase } from '../support/cluster.ts'
import { pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'
import { warningsOf } from '../support/warnings.ts'
import { withResolvers } from '../support/with-resolvers.ts'

const { cluster, listen } = useShop()
const CODE = 'WRITE_PINNING_ENDED_CONTEXT'
/** What is said of a write after the response of its request, whenever that is. */
const LATE_WRITE = 'WRITE_PINNING_RESPONSE'

afterEach(async () => {
  vi.useRealTimers()
})

/** A queue of one at a time, as p-queue, bottleneck, fastq and async have it: what waits is begun by whatever ends before it. */
class Queue {
  #isBusy = false
  readonly #waiting: (() => Promise<void>)[] = []

  add<T>(work: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => work().then(resolve, reject))
      if (!this.#isBusy) void this.#run()
    })
  }

  async #run(): Promise<void> {
    this.#isBusy = true
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) await next()
    this.#isBusy = false
  }
}

function shop(replicas?: []) {
  const db = openDatabase(cluster, replicas && { replicas })
  return {
    db,
    read: () => db.selectFrom('item').select('id').execute(),
    insert: async () => void (await db.insertInto('item').values({ name: 'lamp' }).execute()),
  }
}

async function pinningApp() {
  const app = fastify()
  await app.register(writePinning, { pinOn: 'write' })
  return app
}

/** Has the request that is running been answered so long ago. */
function answeredBefore(seconds: number): void {
  const memory = currentContext()?.memory
  if (memory !== undefined) memory.answeredAtMs -= seconds * 1_000
}

describe('bindContext()', () => {
  it.each([
    ['pins whoever wrote', bindContext, true],
    ['is needed: without it, that pins nobody', (fn: () => Promise<void>) => fn, false],
  ])('around the work for a queue between requests %s', async (_what, bind, isPinned) => {
    const { db, insert } = shop()
    const app = await pinningApp()
    const queue = new Queue()
    const [began, first, queued] = [withResolvers<void>(), withResolvers<void>(), withResolvers<void>()]
    app.get('/first', async () => {
      await queue.add(() => {
        began.resolve()
        return first.promise
      })
      return 'done'
    })
    app.get('/second', async () => {
      const work = queue.add(bind(insert))
      queued.resolve()
      await work
      return 'done'
    })
    const agent = await listen(app)
    const [reader, writer] = [agent(), agent()]
    const ofReader = reader.get('/first')
    await began.promise
    const ofWriter = writer.get('/second')
    await queued.promise
    first.resolve()
    await ofReader
    expect(pinCookie(await ofWriter) !== undefined).toBe(isPinned)
    await db.destroy()
  })

  it('runs its function in no context where it was bound in none', () => {
    const bound = bindContext(() => currentContext())
    expect(runWithPin(undefined, bound)).toBeUndefined()
    expect(runWithPin(undefined, () => currentContext())).toBeDefined()
  })

  it('keeps the scope, and what goes on after an await', async () => {
    const { db, read } = shop()
    const bound = runWithPin(undefined, () =>
      usePrimary(() =>
        bindContext(async () => {
          await null
          return read()
        }),
      ),
    )
    expect(await whereAndWhy(() => runWithPin(undefined, bound))).toEqual(['primary: use-primary'])
    await db.destroy()
  })

  it('gives a function of the same type, name and length, with the caller’s `this`', () => {
    const named = bindContext(function add(this: { base: number }, a: number, b: number) {
      return this.base + a + b
    })
    expectTypeOf(named).toEqualTypeOf<(this: { base: number }, a: number, b: number) => number>()
    expect([named.name, named.length, named.call({ base: 1 }, 2, 3)]).toEqual(['add', 2, 6])
    expectTypeOf(bindContext(async (id: string) => [id])).toEqualTypeOf<(id: string) => Promise<string[]>>()
    // @ts-expect-error: it takes a function
    expect(() => bindContext(7)).toThrowError(expect.objectContaining({ code: 'ERR_WRITE_PINNING_OPTION' }))
  })

  it('gives the parameters of a callback their types from where it is handed to', () => {
    type Callback = (error: Error, result: { readonly rows: string[] }) => void
    const query = (text: string, callback: Callback) => callback(new Error(text), { rows: [text] })
    const next = (error?: unknown) => error
    query(
      'select 1',
      bindContext((error, { rows }) => {
        expectTypeOf(error).toEqualTypeOf<Error>()
        expectTypeOf(rows).toEqualTypeOf<string[]>()
        expect([next(error), rows]).toEqual([new Error('select 1'), ['select 1']])
      }),
    )
    const pool = new Pool()
    pool.on(
      'error',
      bindContext((error) => next(error)),
    )
    // Never called: its types are what counts.
    const ofPool = () =>
      pool.query(
        'select 1',
        [],
        // One of several signatures: the compiler knows no types for these.
        bindContext((error: Error, result: QueryResult) => next(error ?? result.rowCount)),
      )
    expect(ofPool).toBeTypeOf('function')
  })

  it('refuses what is a query that nobody has executed', async () => {
    const { db } = shop()
    const bound = runWithPin(undefined, () => bindContext(() => db.selectFrom('item').selectAll()))
    expect(() => bound()).toThrowError(expect.objectContaining({ code: 'ERR_WRITE_PINNING_NOT_EXECUTED' }))
    await db.destroy()
  })
})

describe('a statement in the context of a request that was answered', () => {
  /** What is warned of while `work` runs after the response, in the context of its request. */
  async function warningsAfterAnswer(
    work: (of: ReturnType<typeof shop>) => Promise<unknown>,
    replicas?: [],
  ): Promise<string[]> {
    const of = shop(replicas)
    await of.db.selectFrom('item').select('id').execute()
    const app = await pinningApp()
    const [answered, worked] = [withResolvers<void>(), withResolvers<string[]>()]
    app.get('/', async () => {
      void answered.promise.then(() => warningsOf(() => work(of))).then(worked.resolve)
      return 'done'
    })
    app.addHook('onResponse', async (_request, reply) => {
      if (!reply.raw.closed) await new Promise((resolve) => reply.raw.once('close', resolve))
      answered.resolve()
    })
    await (await listen(app))().get('/')
    const warnings = await worked.promise
    await of.db.destroy()
    return warnings
  }

  it('long ago is warned of, once', async () => {
    expect(
      await warningsAfterAnswer(async ({ read, insert }) => {
        answeredBefore(31)
        await read()
        await insert()
        await usePrimary(read)
      }),
    ).toEqual([CODE, LATE_WRITE])
  })

  it('is said again after a while, with how many there were', async () => {
    const messages: string[] = []
    const onWarning = (warning: Error) => void messages.push(warning.message)
    process.on('warning', onWarning)
    const codes = await warningsAfterAnswer(async ({ read }) => {
      answeredBefore(31)
      for (let i = 0; i < 5; i++) await read()
      vi.useFakeTimers({ toFake: ['Date'], now: Date.now() + 601_000 })
      await read()
      await read()
    })
    process.off('warning', onWarning)
    expect(codes).toEqual([CODE, CODE])
    expect(messages.at(-1)).toContain('6 statements')
  })

  it.each<[string, (of: ReturnType<typeof shop>) => Promise<unknown>]>([
    ['at once', ({ insert }) => insert()],
    [
      'a moment before, by setImmediate',
      async ({ insert }) => {
        await new Promise(setImmediate)
        await insert()
      },
    ],
    [
      'some seconds ago',
      ({ insert }) => {
        answeredBefore(20)
        return insert()
      },
    ],
    [
      'long ago, in a job of its own',
      ({ insert }) => {
        answeredBefore(60)
        return runWithPin(undefined, insert)
      },
    ],
    [
      'long ago, and marks a write',
      async () => {
        answeredBefore(60)
        markWrite()
      },
    ],
  ])('%s is nothing to warn of', async (_when, work) => {
    expect(await warningsAfterAnswer(work)).not.toContain(CODE)
  })

  it('is nothing to warn of where there is no replica', async () => {
    const work = async ({ read }: ReturnType<typeof shop>) => {
      answeredBefore(60)
      await read()
    }
    expect(await warningsAfterAnswer(work, [])).not.toContain(CODE)
  })

  it('is none while a stream is under way, after its client went away, or on a socket', async () => {
    const { db, read } = shop()
    const app = await pinningApp()
    const [gone, worked] = [withResolvers<void>(), withResolvers<number>()]
    app.get('/', async (_request, reply) => {
      reply.hijack()
      reply.raw.once('close', gone.resolve)
      reply.raw.writeHead(200, { 'content-type': 'text/event-stream' })
      reply.raw.write('data: 1\n\n')
      await read()
      expect(currentContext()?.memory?.answeredAtMs).toBe(Number.POSITIVE_INFINITY)
      await gone.promise
      worked.resolve(currentContext()?.memory?.answeredAtMs ?? 0)
    })
    const { origin } = (await listen(app))()
    const client = request(origin, { agent: false }).end()
    client.on('error', () => {})
    const [response] = (await once(client, 'response')) as [IncomingMessage]
    await once(response, 'data')
    client.destroy()
    expect(await worked.promise).toBe(Number.POSITIVE_INFINITY)
    await db.destroy()
  })
})
