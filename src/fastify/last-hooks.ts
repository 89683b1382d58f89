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
  // What `done()` throws comes from a later hook, from the handler, or from an answer that cannot be sent: `done(error)` hands it to the
  // error handler. Fastify 5.0 drops it where a hook gives back its promise instead, and the process ends.
  const onSend: onSendHookHandler<unknown> = (request, _reply, payload, done) => {
    const wait = beforeHeaders(request)
    if (wait === undefined) done(null, payload)
    else wait.then(() => done(null, payload)).catch(done)
  }
  const preHandler: preHandlerHookHandler = (request, _reply, done) => {
    const wait = beforeHandler?.(request)
    if (wait === undefined) done()
    else wait.then(() => done()).catch(done)
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
