import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { LATE_WRITE_CHANNEL, type LateWriteEvent, markWrite, withoutPin } from 'write-pinning'
import { pinCookie } from '../support/http.ts'
import { whereAndWhy } from '../support/routes.ts'
import { withResolvers } from '../support/with-resolvers.ts'
import { contract } from './contract.ts'
import { useLaggingShop } from './lagging-shop.ts'

const { insert, read } = useLaggingShop()

contract((serve) => {
  describe('a streamed response', () => {
    it('whose write comes before its first byte pins', async () => {
      const { counts, userAgent } = await serve({
        routes: {
          'GET /feed': async () => ({
            stream: Readable.from(
              (async function* () {
                await insert()
                yield 'first'
                yield ' second'
              })(),
            ),
          }),
        },
      })
      const answer = await userAgent().get('/feed')
      expect(answer.body).toBe('first second')
      expect(pinCookie(answer)).toBeDefined()
      expect(counts.late).toBe(0)
    })

    it('whose writes come after its first byte is sent as it is; each is counted, the route warned about once', async () => {
      const { counts, userAgent, warnings } = await serve({
        routes: {
          'GET /feed/:id': async ({ response }) => ({
            stream: Readable.from(
              (async function* () {
                yield 'first'
                await headersOf(response)
                await insert()
                await insert()
                yield ' second'
              })(),
            ),
          }),
        },
      })
      const events = await lateWritesOf(async () => {
        for (const path of ['/feed/1', '/feed/2']) {
          const answer = await userAgent().get(path)
          expect(answer.body).toBe('first second')
          expect(answer.setCookies).toEqual([])
        }
      })
      expect(counts.late).toBe(4)
      expect(events).toEqual(Array(4).fill({ route: 'GET /feed/:id', reason: 'write' }))
      await new Promise(setImmediate)
      expect(warnings).toEqual([expect.stringMatching(/^GET \/feed\/:id wrote after the headers/)])
    })

    it('keeps its context while it waits for a slow client', async () => {
      // More than what the sockets between the two take.
      const chunk = 'x'.repeat(4_000_000)
      const { counts, userAgent } = await serve({
        routes: {
          'GET /feed': async () => ({
            stream: Readable.from(
              (async function* () {
                yield chunk
                yield chunk
                await insert()
                yield ' done'
              })(),
            ),
          }),
        },
      })
      expect((await userAgent().get('/feed')).body).toHaveLength(8_000_005)
      expect(counts.late).toBe(1)
    })
  })

  describe('a write after the headers', () => {
    it('of a response that pins is counted too, because its pin began before it', async () => {
      const { counts, userAgent } = await serve({
        routes: {
          'POST /feed': async ({ response }) => {
            response.write('first')
            await insert()
            response.end(' second')
            return undefined
          },
        },
      })
      const answer = await userAgent().post('/feed')
      expect(answer.body).toBe('first second')
      expect(pinCookie(answer)).toBeDefined()
      expect(counts.late).toBe(1)
    })

    it('that was not awaited is counted although its response is over', async () => {
      const over = withResolvers<unknown>()
      const { counts, userAgent } = await serve({
        routes: {
          'GET /visit': async ({ response }) => {
            response.once('close', () => over.resolve(undefined))
            void over.promise.then(() => insert())
            return { body: 'done' }
          },
          'POST /visit': async ({ response }) => {
            response.once('close', () => over.resolve(undefined))
            void over.promise.then(() => insert())
            return { body: 'done' }
          },
        },
      })
      await userAgent().get('/visit')
      await expect.poll(() => counts.late).toBe(1)
      await userAgent().post('/visit')
      await expect.poll(() => counts.late).toBe(2)
    })

    it('by markWrite() is counted as well, and the reads that follow are fresh', async () => {
      const { userAgent } = await serve({
        routes: {
          'GET /feed': async ({ response }) => {
            response.write('first')
            markWrite()
            await read()
            response.end(' second')
            return undefined
          },
        },
      })
      let routes: string[] = []
      const events = await lateWritesOf(async () => {
        routes = await whereAndWhy(() => userAgent().get('/feed'))
      })
      expect(events).toEqual([{ route: 'GET /feed', reason: 'mark-write' }])
      expect(routes).toEqual(['primary: own-write'])
    })

    it('is not counted under withoutPin(), nor in a skipped request', async () => {
      const skip = (request: { headers: Record<string, unknown> }) => request.headers['x-bot'] !== undefined
      const { counts, userAgent } = await serve({
        options: { skip },
        routes: {
          'GET /feed': async ({ headers, response }) => {
            response.write('first')
            await (headers['x-bot'] === undefined ? withoutPin(insert) : insert())
            response.end(' second')
            return undefined
          },
        },
      })
      await userAgent().get('/feed')
      await userAgent().get('/feed', { headers: { 'x-bot': '1' } })
      expect(counts.late).toBe(0)
    })
  })
})

/** Waits until the headers of the response have left. */
async function headersOf(response: ServerResponse): Promise<void> {
  while (!response.headersSent) await new Promise(setImmediate)
}

async function lateWritesOf(fn: () => Promise<unknown>): Promise<LateWriteEvent[]> {
  const events: LateWriteEvent[] = []
  const onLateWrite = (message: unknown) => events.push(message as LateWriteEvent)
  subscribe(LATE_WRITE_CHANNEL, onLateWrite)
  try {
    await fn()
  } finally {
    unsubscribe(LATE_WRITE_CHANNEL, onLateWrite)
  }
  return events
}
