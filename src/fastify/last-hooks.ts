import type {
  FastifyInstance,
  FastifyRequest,
  onSendHookHandler,
  preHandlerHookHandler,
  RouteOptions,
} from 'fastify'

/**
 * The work of a hook: gives a promise that settles within a moment and never rejects; undefined if no wait is needed.
 */
export type HookWork = (request: FastifyRequest) => Promise<void> | undefined

/**
 * Adds the hooks that wait:
 *
 * - right before the handler, when the application's hooks know the account;
 * - right before the headers leave, when a session store has written.
 *
 * Fastify runs a route's own hooks after those of plugins. So these are kept as the last of each route's own hooks. A
 * route that was defined before this plugin was registered, and a request that reached no route, have only the
 * plugin's hooks. `reenter` is the very last hook before a handler.
 */
export function addLastHooks(
  app: FastifyInstance,
  reenter: preHandlerHookHandler,
  waiting: { readonly beforeHandler: HookWork | undefined; readonly beforeHeaders: HookWork } | undefined,
): void {
  const preHandler = waiting?.beforeHandler && waitBeforeHandler(waiting.beforeHandler)
  const onSend = waiting && waitBeforeHeaders(waiting.beforeHeaders)
  app.addHook('onRoute', (route: RouteOptions) => {
    keepLast(route, 'preHandler', preHandler === undefined ? [reenter] : [preHandler, reenter])
    if (onSend === undefined) return
    keepLast(route, 'onSend', [onSend])
    route.config = Object.assign({ [HAS_OWN]: true }, route.config)
  })
  if (onSend !== undefined) {
    app.addHook('onSend', function (request, reply, payload, done) {
      if (hasOwn(request)) done(null, payload)
      else onSend.call(this, request, reply, payload, done)
    })
  }
  if (preHandler !== undefined) {
    app.addHook('preHandler', function (request, reply, done) {
      if (hasOwn(request)) done()
      else preHandler.call(this, request, reply, done)
    })
  }
}

// If `done()` throws, the error is that of a later hook, of the handler, or of an answer that cannot be sent.
// `done(error)` passes it to the error handler. If a hook returned its promise instead, Fastify 5.0 would drop that
// error, and the process would end.

function waitBeforeHandler(beforeHandler: HookWork): preHandlerHookHandler {
  return (request, _reply, done) => {
    const wait = beforeHandler(request)
    if (wait === undefined) done()
    else wait.then(() => done()).catch(done)
  }
}

function waitBeforeHeaders(beforeHeaders: HookWork): onSendHookHandler<unknown> {
  return (request, _reply, payload, done) => {
    const wait = beforeHeaders(request)
    if (wait === undefined) done(null, payload)
    else wait.then(() => done(null, payload)).catch(done)
  }
}

const HAS_OWN = Symbol('write-pinning.last-hooks')

function hasOwn(request: FastifyRequest): boolean {
  return HAS_OWN in (request.routeOptions.config ?? {})
}

/**
 * Keeps hooks at the end of a route's own. `onRoute` hooks of other plugins may add to these later, by a new list or
 * by `push()`. Fastify reads the list again when the application is ready.
 */
function keepLast<Name extends 'preHandler' | 'onSend'>(
  route: RouteOptions,
  name: Name,
  last: Exclude<RouteOptions[Name], undefined | readonly unknown[]>[],
): void {
  let given: unknown = route[name]
  // A copy, because an application may use one list of its own for several routes.
  let hooks: unknown[] | undefined
  Object.defineProperty(route, name, {
    get() {
      hooks ??= given === undefined || given === null ? [] : [given].flat()
      const others = hooks.filter((each) => !(last as unknown[]).includes(each))
      hooks.splice(0, hooks.length, ...others, ...last)
      return hooks
    },
    set(value: unknown) {
      given = value
      hooks = undefined
    },
    configurable: true,
    enumerable: true,
  })
}
