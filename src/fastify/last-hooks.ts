import type {
  FastifyInstance,
  FastifyRequest,
  onSendHookHandler,
  preHandlerHookHandler,
  RouteOptions,
} from 'fastify'

/** What may be waited for, a moment at most, and never rejects; undefined where there is nothing to wait for. */
export type Waiting = (request: FastifyRequest) => Promise<void> | undefined

/**
 * Has requests wait right before their handler, when the application's hooks know whose they are, and responses right
 * before their headers leave, when a session store has written. So they are the last hooks of each route's own, which run
 * after those of the plugins; a route that was defined before, and what reached none, has only the plugin's.
 */
export function addLastHooks(
  app: FastifyInstance,
  waiting: { readonly beforeHandler: Waiting | undefined; readonly beforeHeaders: Waiting },
): void {
  const { beforeHandler, beforeHeaders } = waiting
  const onSend: onSendHookHandler<unknown> = (request, _reply, payload, done) => {
    const wait = beforeHeaders(request)
    if (wait === undefined) done(null, payload)
    else void wait.then(() => done(null, payload))
  }
  const preHandler: preHandlerHookHandler = (request, _reply, done) => {
    const wait = beforeHandler?.(request)
    if (wait === undefined) done()
    else void wait.then(() => done())
  }
  app.addHook('onRoute', (route: RouteOptions) => {
    route.onSend = withLast(route.onSend, onSend)
    if (beforeHandler !== undefined) route.preHandler = withLast(route.preHandler, preHandler)
    route.config = Object.assign({ [HAS_OWN]: true }, route.config)
  })
  app.addHook('onSend', function (request, reply, payload, done) {
    if (hasOwn(request)) done(null, payload)
    else onSend.call(this, request, reply, payload, done)
  })
  if (beforeHandler === undefined) return
  app.addHook('preHandler', function (request, reply, done) {
    if (hasOwn(request)) done()
    else preHandler.call(this, request, reply, done)
  })
}

const HAS_OWN = Symbol('write-pinning.last-hooks')

function hasOwn(request: FastifyRequest): boolean {
  return HAS_OWN in (request.routeOptions.config ?? {})
}

// The route of a HEAD is made of that of its GET, and of its hooks.
function withLast<T>(hooks: T | T[] | undefined, last: T): T[] {
  const others = hooks === undefined ? [] : Array.isArray(hooks) ? hooks : [hooks]
  return [...others.filter((each) => each !== last), last]
}
