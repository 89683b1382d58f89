import { createServer, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterAll, beforeEach, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/express'
import { overEachExpress } from '../express/support.ts'
import { pinCookie } from '../support/http.ts'
import { useShop } from '../support/shop.ts'

// Applications make requests out of requests: one that inherits from Node.js's own, with another URL, or one with copies of its properties.
const { insert, listen, atEnd } = useShop()
const errors: unknown[] = []
const note = (error: unknown) => void errors.push(error)
process.on('uncaughtException', note)

// Looked at when the test's servers have ended.
beforeEach(() => atEnd(() => expect(errors.splice(0)).toEqual([])))

afterAll(async () => {
  process.off('uncaughtException', note)
})

async function answerTo(answer: (request: IncomingMessage) => Promise<string>) {
  const pinning = writePinning({ pinOn: 'write' })
  const server = createServer((request, response) => {
    pinning(request, response, () => {
      answer(request).then(
        (body) => response.end(body),
        (error) => response.writeHead(500).end(String(error)),
      )
    })
  })
  const answered = (await listen(server))().post('/', { body: '"lamp"' })
  // An error in an event ends the connection, or leaves it open.
  const failed = new Promise<never>((_resolve, reject) => process.once('uncaughtException', reject))
  return Promise.race([answered, failed])
}

it.each([1, 3])(
  'a request that inherits from another one, %i deep, has its body read in its context',
  async (deep) => {
    const answer = await answerTo((request) => {
      let derived = request
      for (let level = 0; level < deep; level++)
        derived = Object.create(derived, { url: { value: '/other' } })
      return new Promise((resolve) => {
        let body = ''
        derived.on('data', (chunk) => {
          body += chunk
        })
        derived.on('end', () => void insert(body).then(() => resolve(body)))
      })
    })
    expect([answer.status, answer.body]).toEqual([200, '"lamp"'])
    expect(pinCookie(answer)).toBeDefined()
  },
)

it('an object that has taken over `emit` from a request, as one does that copies all its properties, emits its own events', async () => {
  const answer = await answerTo(async (request) => {
    const copy = Readable.from(['own'])
    return text(Object.assign(copy, { emit: request.emit }))
  })
  expect([answer.status, answer.body]).toEqual([200, 'own'])
})

overEachExpress((express, serve) => {
  it('a parser of bodies is handed a request that inherits from another one', async () => {
    const app = express()
    app.use(writePinning())
    app.post('/', (request, response, next) => {
      const derived = Object.create(request, { url: { value: '/other' } })
      express.json({ strict: false })(derived, response, (error?: unknown) => {
        if (error === undefined) response.json(derived.body)
        else next(error)
      })
    })
    const answer = await (await serve(app)).post('/', { body: '{"name":"lamp"}' })
    expect(answer.json()).toEqual({ name: 'lamp' })
  })
})
