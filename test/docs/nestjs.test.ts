import 'reflect-metadata'
import {
  type ArgumentsHost,
  type CallHandler,
  Catch,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  type MiddlewareConsumer,
  Module,
  Post,
  RequestMethod,
  ServiceUnavailableException,
} from '@nestjs/common'
import { BaseExceptionFilter, HttpAdapterHost, NestFactory } from '@nestjs/core'
import { FastifyAdapter } from '@nestjs/platform-fastify'
import { from, switchMap } from 'rxjs'
import { describe, expect, it } from 'vitest'
import { usePrimary, WritePinningError } from 'write-pinning'
import { writePinning as makeMiddleware, markRoute } from 'write-pinning/express'
import { writePinning } from 'write-pinning/fastify'
import { whereAndWhy } from '../support/routes.ts'
import { useShop } from '../support/shop.ts'

// What docs/recipes/nestjs.md says beside its code, which is run there. Decorators are called here, since they are TypeScript's.
const { read, atEnd } = useShop()

class ItemsController {
  list() {
    return read()
  }

  watch() {
    return from([1]).pipe(switchMap(read))
  }

  search() {
    return read()
  }

  visit() {
    return read()
  }

  report() {
    return read()
  }

  fail() {
    throw new WritePinningError('ERR_WRITE_PINNING_NO_REPLICA', 'No replica is fit.', { statusCode: 503 })
  }
}
const { prototype } = ItemsController
const wrapped = Object.defineProperty(prototype, 'watch', { value: usePrimary.wrap(prototype.watch) })
const route = (decorator: MethodDecorator, name: keyof ItemsController) =>
  decorator(wrapped, name, Object.getOwnPropertyDescriptor(wrapped, name) as PropertyDescriptor)
route(Get(), 'list')
route(Get('watch'), 'watch')
route(Post('search'), 'search')
route(Get('visit'), 'visit')
route(Get('report'), 'report')
route(Get('fail'), 'fail')
Controller('items')(ItemsController)

class AppModule {
  configure(consumer: MiddlewareConsumer) {
    const reading = (_request: unknown, _response: unknown, next: () => void) =>
      void read().then(() => next())
    consumer.apply(reading).forRoutes({ path: 'items', method: RequestMethod.GET })
    consumer
      .apply(markRoute({ dbWrite: false }))
      .forRoutes({ path: 'items/search', method: RequestMethod.POST })
    consumer.apply(markRoute({ dbWrite: true })).forRoutes({ path: 'items/visit', method: RequestMethod.GET })
    consumer
      .apply(markRoute({ readFrom: 'primary' }))
      .forRoutes({ path: 'items/report', method: RequestMethod.GET })
  }
}
Module({ controllers: [ItemsController] })(AppModule)

const QUIET = { logger: false } as const

async function onExpress(): Promise<INestApplication> {
  const app = await NestFactory.create(AppModule, QUIET)
  app.use(makeMiddleware())
  return app
}

async function onFastify(): Promise<INestApplication> {
  const adapter = new FastifyAdapter()
  await adapter.getInstance().register(writePinning)
  return NestFactory.create(AppModule, adapter, QUIET)
}

async function lateOnFastify(): Promise<INestApplication> {
  const adapter = new FastifyAdapter()
  const app = await NestFactory.create(AppModule, adapter, QUIET)
  await adapter.getInstance().register(writePinning)
  return app
}

/** Where the reads of one request go that a guard, an interceptor and the handler make. */
async function routesOf(app: INestApplication, method: string, path: string): Promise<string[]> {
  atEnd(() => app.close())
  app.useGlobalGuards({ canActivate: () => read().then(() => true) })
  app.useGlobalInterceptors({
    intercept: async (_context: ExecutionContext, next: CallHandler) => {
      await read()
      return next.handle()
    },
  })
  await app.listen(0, '127.0.0.1')
  const url = `${await app.getUrl()}${path}`
  return whereAndWhy(async () => {
    const answer = await fetch(url, { method, headers: { connection: 'close' } })
    expect(answer.ok).toBe(true)
    await answer.text()
  })
}

class UnavailableFilter extends BaseExceptionFilter {
  override catch(_error: unknown, host: ArgumentsHost): void {
    super.catch(new ServiceUnavailableException('Try again soon.'), host)
  }
}
Catch()(UnavailableFilter)

async function statusOf(app: INestApplication): Promise<number> {
  atEnd(() => app.close())
  await app.listen(0, '127.0.0.1')
  const answer = await fetch(`${await app.getUrl()}/items/fail`, { headers: { connection: 'close' } })
  await answer.text()
  return answer.status
}

const [MIDDLEWARE, GUARD, INTERCEPTOR, HANDLER] = Array(4).fill('replica: read')

describe.each([
  ['Express', onExpress],
  ['Fastify, registered with the adapter', onFastify],
])('NestJS on %s', (_name, make) => {
  it('has its middleware, guards, interceptors and handlers in the context', async () => {
    const routes = await routesOf(await make(), 'GET', '/items')
    expect(routes).toEqual([MIDDLEWARE, GUARD, INTERCEPTOR, HANDLER])
  })

  it('knows the marks of a route that a consumer applies', async () => {
    expect(await routesOf(await make(), 'POST', '/items/search')).toEqual([GUARD, INTERCEPTOR, HANDLER])
    expect(await routesOf(await make(), 'GET', '/items/visit')).toEqual(
      Array(3).fill('primary: write-request'),
    )
    expect(await routesOf(await make(), 'GET', '/items/report')).toEqual(Array(3).fill('primary: read-from'))
  })

  it('answers 500 for an error with status 503, and 503 with a filter', async () => {
    expect(await statusOf(await make())).toBe(500)
    const app = await make()
    app.useGlobalFilters(new UnavailableFilter(app.get(HttpAdapterHost).httpAdapter))
    expect(await statusOf(app)).toBe(503)
  })

  it('reads what a method gives as an Observable outside of its scope', async () => {
    expect(await routesOf(await make(), 'GET', '/items/watch')).toEqual([GUARD, INTERCEPTOR, HANDLER])
  })
})

it('NestJS on Fastify, registered after the application is created, has its middleware outside the context', async () => {
  const routes = await routesOf(await lateOnFastify(), 'GET', '/items')
  expect(routes).toEqual(['primary: no-context', GUARD, INTERCEPTOR, HANDLER])
})
