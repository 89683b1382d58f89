import { ReadableStream } from 'node:stream/web'
import { fastify } from 'fastify'
import Cursor from 'pg-cursor'
import { describe, expect, test } from 'vitest'
import { usePrimary } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// A stream of the web that a scope gives back asks for its rows when it is read, which is outside of the scope.
const { db, listen } = useShop({
  sql: "insert into item (name) values ('lamp'), ('chair')",
  dialect: { cursor: Cursor },
})

const ON_PRIMARY = ['primary: use-primary']
const isClosed: string[] = []

async function* names() {
  try {
    for await (const { name } of db.selectFrom('item').selectAll().orderBy('id').stream(1)) yield name
  } finally {
    isClosed.push('closed')
    await db.selectFrom('item').selectAll().execute()
  }
}

const streams: [string, () => ReadableStream<string>][] = [
  ['from a generator', () => ReadableStream.from(names()) as ReadableStream<string>],
  [
    'with a source of its own',
    () => {
      const source = names()
      return new ReadableStream<string>({
        async pull(controller) {
          const { done, value } = await source.next()
          if (done) controller.close()
          else controller.enqueue(value)
        },
        async cancel() {
          await source.return(undefined)
        },
      })
    },
  ],
]

describe.each(streams)('a stream of the web %s', (_how, open) => {
  test('is read in the scope that has given it back, to its end', async () => {
    const read: string[] = []
    const routes = await whereAndWhy(async () => {
      for await (const name of usePrimary(open)) read.push(name)
    })
    expect(read).toEqual(['lamp', 'chair'])
    expect(new Set(routes)).toEqual(new Set(ON_PRIMARY))
  })

  test('is cancelled in it', async () => {
    isClosed.length = 0
    const routes = await whereAndWhy(async () => {
      const stream = usePrimary(open)
      for await (const _name of stream) break
    })
    expect(isClosed).toEqual(['closed'])
    expect(new Set(routes)).toEqual(new Set(ON_PRIMARY))
  })

  test('is what Fastify answers', async () => {
    const app = fastify()
    await app.register(writePinning)
    app.get('/', async (_request, reply) => {
      const stream = await usePrimary(async () => open())
      return reply.send(stream.pipeThrough(new TextEncoderStream() as never))
    })
    const agent = (await listen(app))()
    const routes = await whereAndWhy(async () => expect((await agent.get('/')).body).toBe('lampchair'))
    expect(new Set(routes)).toEqual(new Set(ON_PRIMARY))
  })
})

test('its error is the reader’s', async () => {
  const stream = usePrimary(
    () =>
      new ReadableStream({
        pull() {
          throw new RangeError('no row')
        },
      }),
  )
  await expect(stream.getReader().read()).rejects.toThrow(RangeError)
})

test('one that is read already, and one of bytes, are given back as they are', () => {
  const locked = new ReadableStream()
  locked.getReader()
  const ofBytes = new ReadableStream({ type: 'bytes' })
  for (const stream of [locked, ofBytes]) expect(usePrimary(() => stream)).toBe(stream)
  expect(ofBytes.locked).toBe(false)
})
