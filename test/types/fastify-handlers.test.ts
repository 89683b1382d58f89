import { type FastifyTypeProvider, fastify } from 'fastify'
import { describe, expectTypeOf, it } from 'vitest'
import { dbWrite, usePrimary } from 'write-pinning'
import { z } from 'zod'

// What is wrong in here does not compile. No request reaches these handlers.

/** As that of `@fastify/type-provider-json-schema-to-ts` is: the schema is a literal. */
interface JsonSchemaProvider extends FastifyTypeProvider {
  validator: this['schema'] extends { readonly properties: infer Properties }
    ? {
        -readonly [Name in keyof Properties]: Properties[Name] extends { readonly type: 'number' }
          ? number
          : string
      }
    : unknown
  serializer: this['validator']
}

/** As those of Zod and TypeBox are: the schema is an object that knows its type. */
interface ZodProvider extends FastifyTypeProvider {
  validator: this['schema'] extends z.ZodType ? z.output<this['schema']> : unknown
  serializer: this['schema'] extends z.ZodType ? z.input<this['schema']> : unknown
}

interface Comment {
  Body: { text: string }
  Querystring: { draft: string }
  Params: { id: string }
  Reply: { ok: boolean }
}

describe('dbWrite() around a handler keeps the types', () => {
  it('that the route names', () => {
    const app = fastify()
    app.post<Comment>(
      '/short/:id',
      dbWrite(async ({ body, query, params }, reply) => {
        expectTypeOf(body.text).toEqualTypeOf<string>()
        expectTypeOf(query.draft).toEqualTypeOf<string>()
        expectTypeOf(params.id).toEqualTypeOf<string>()
        // @ts-expect-error: the reply has another type
        if (body.text === '') return reply.send({ ok: 'yes' })
        return { ok: true }
      }),
    )
    app.route<Comment>({
      method: 'POST',
      url: '/route/:id',
      handler: dbWrite(async ({ body, query, params }) => {
        expectTypeOf(body.text).toEqualTypeOf<string>()
        expectTypeOf(query.draft).toEqualTypeOf<string>()
        expectTypeOf(params.id).toEqualTypeOf<string>()
        return { ok: true }
      }),
    })
    app.post<Comment>(
      '/wrong/:id',
      // @ts-expect-error: the reply has another type
      dbWrite(async () => ({ ok: 'yes' })),
    )
    app.route<Comment>({
      method: 'POST',
      url: '/wrong-route/:id',
      // @ts-expect-error: the same
      handler: dbWrite(async () => ({ ok: 'yes' })),
    })
  })

  it('of a handler on its own, and of `this`', () => {
    const app = fastify()
    app.get(
      '/',
      dbWrite(async (request) => request.url),
    )
    app.get(
      '/this',
      dbWrite(async function (request, reply) {
        expectTypeOf(this.printRoutes).toBeFunction()
        return reply.code(200).send(request.url)
      }),
    )
    app.route({
      method: 'GET',
      url: '/route',
      handler: dbWrite(async ({ body }) => expectTypeOf(body).toBeUnknown()),
    })
  })

  it('that a JSON schema gives', () => {
    const app = fastify().withTypeProvider<JsonSchemaProvider>()
    const schema = { body: { type: 'object', properties: { n: { type: 'number' } } } } as const
    app.post(
      '/short',
      { schema },
      dbWrite(async ({ body }) => expectTypeOf(body.n).toBeNumber()),
    )
    app.route({
      method: 'POST',
      url: '/route',
      schema,
      handler: dbWrite(async ({ body }) => expectTypeOf(body.n).toBeNumber()),
    })
    app.route({
      method: 'POST',
      url: '/in-place',
      schema: { body: { type: 'object', properties: { n: { type: 'number' } } } },
      handler: dbWrite(async ({ body }) => expectTypeOf(body.n).toBeNumber()),
    })
  })

  it('that a schema object gives, which has a name', () => {
    const app = fastify().withTypeProvider<ZodProvider>()
    const schema = {
      body: z.object({ n: z.number() }),
      querystring: z.object({ q: z.string() }),
      response: { 200: z.object({ ok: z.boolean() }) },
    }
    app.post(
      '/short',
      { schema },
      dbWrite(async ({ body, query }) => {
        expectTypeOf(body.n).toBeNumber()
        expectTypeOf(query.q).toBeString()
        return { ok: true }
      }),
    )
    app.post('/option', {
      schema,
      handler: dbWrite(async ({ body, query }) => {
        expectTypeOf(body.n).toBeNumber()
        expectTypeOf(query.q).toBeString()
        return { ok: true }
      }),
    })
    app.route({
      method: 'POST',
      url: '/route',
      schema,
      handler: dbWrite(async ({ body, query }) => {
        expectTypeOf(body.n).toBeNumber()
        expectTypeOf(query.q).toBeString()
        return { ok: true }
      }),
    })
    app.post(
      '/wrong',
      { schema },
      // @ts-expect-error: the reply has another type
      dbWrite(async () => ({ ok: 'yes' })),
    )
    // @ts-expect-error: the same
    app.route({ method: 'POST', url: '/wrong-route', schema, handler: dbWrite(async () => ({ ok: 'yes' })) })
  })

  it('and so does usePrimary.wrap()', () => {
    const app = fastify().withTypeProvider<ZodProvider>()
    const schema = { body: z.object({ n: z.number() }) }
    app.post(
      '/short',
      { schema },
      usePrimary.wrap(async ({ body }) => expectTypeOf(body.n).toBeNumber()),
    )
    app.route({
      method: 'POST',
      url: '/route',
      schema,
      handler: usePrimary.wrap(async ({ body }) => expectTypeOf(body.n).toBeNumber()),
    })
  })
})

// The pages say it: where the compiler cannot, a mark of the route does.
describe('where dbWrite() loses the types, `config: { dbWrite: true }` keeps them', () => {
  it('a schema object that is made in place', () => {
    const app = fastify().withTypeProvider<ZodProvider>()
    app.post(
      '/short',
      { schema: { body: z.object({ n: z.number() }) } },
      dbWrite(async ({ body }) => expectTypeOf(body).toBeUnknown()),
    )
    app.route({
      method: 'POST',
      url: '/route',
      schema: { body: z.object({ n: z.number() }) },
      handler: dbWrite(async ({ body }) => expectTypeOf(body).toBeUnknown()),
    })
    app.route({
      method: 'POST',
      url: '/config',
      config: { dbWrite: true },
      schema: { body: z.object({ n: z.number() }) },
      handler: async ({ body }) => expectTypeOf(body.n).toBeNumber(),
    })
  })

  it('types that the route names, where the handler is an option of a shorthand', () => {
    const app = fastify()
    app.post<Comment>('/option/:id', {
      // @ts-expect-error: nothing is known of the request
      handler: dbWrite(async (request) => ({ ok: request.body.text !== '' })),
    })
    app.post<Comment>('/config/:id', {
      config: { dbWrite: true },
      handler: async ({ body }) => ({ ok: expectTypeOf(body.text).toBeString() }),
    })
  })
})
