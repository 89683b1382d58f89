import type { FastifyInstance, FastifyReply, FastifyRequest, preHandlerHookHandler } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { WritePinningError } from '../errors.ts'
import { reenterContext, runInContext } from '../freshness/context.ts'
import { importPeer } from '../import-peer.ts'
import { type BegunPin, begunPinOf, type WritePin } from '../pinning/begun-pin.ts'
import { keepContext } from '../pinning/keep-context.ts'
import { type PinningOptions, pinningSettings } from '../pinning/options.ts'
import { type Framework, type PinCounts, Pinning } from '../pinning/pinning.ts'
import { mergeMarks } from '../pinning/policy.ts'
import { UNPINNED } from '../pinning/request-pin.ts'
import { addLastHooks } from './last-hooks.ts'
import { logOf } from './log-of.ts'
import { onlyRegistered } from './only-registered.ts'
import { checkRouteMarks, marksOfRoute } from './route-marks.ts'

/** The options of the Fastify plugin. */
export type WritePinningOptions = PinningOptions<FastifyRequest>

declare module 'fastify' {
  interface FastifyRequest {
    /** Whether this user agent's reads are pinned, why, and until when. */
    readonly writePin: WritePin
  }
  interface FastifyInstance {
    /** What the plugin has done so far. */
    readonly writePinning: { readonly counts: PinCounts }
  }
  interface FastifyContextConfig {
    /** True: the route is what a POST is, its reads go to the primary and it pins. False: takes that from a POST. */
    dbWrite?: boolean
    /** Where the route's reads go: `'primary'`, `'replica'`, or a node's name. It pins nothing. */
    readFrom?: string
  }
}

/**
 * Pins whoever writes: after a write request, the user agent's reads go to the primary for `pinningSeconds`
 * (default 15). Register it before plugins whose `onRequest` hooks use the database.
 *
 * @throws {WritePinningError} at registration, for every option that is wrong or unknown; at once, where it is called by hand.
 * @example
 * await app.register(writePinning)
 * app.post('/comment', async (request, reply) => {
 *   await db.insertInto('comment').values({ text: request.body.text }).execute()
 *   return reply.redirect('/', 303) // and that page shows the comment
 * })
 */
export const writePinning = fastifyPlugin(
  onlyRegistered(async (app: FastifyInstance, options: WritePinningOptions) => {
    // Another copy of this package has a symbol of its own.
    if (app.hasRequestDecorator(PIN) || app.hasRequestDecorator('writePin')) throw alreadyRegistered()
    const settings = pinningSettings<FastifyRequest>('writePinning', ownOptions(options))
    const pinning = new Pinning(settings, {
      ...fastifyFramework,
      log: logOf(app.log),
      serializeCookie: await cookieSerializer(app),
    })

    app.decorate('writePinning', { counts: pinning.counts })
    app.decorateRequest<BegunPin | null>(PIN, null)
    app.decorateRequest('writePin', {
      getter() {
        return (this as WithPin)[PIN]?.writePin ?? UNPINNED
      },
    })
    app.addHook('onRoute', checkRouteMarks)
    if (settings.accounts !== undefined) app.addHook('onClose', () => pinning.close())

    app.addHook('onRequest', (request, reply, done) => {
      // In a child that has registered the plugin for itself, that registration is the one that counts.
      if ((request as WithPin)[PIN]) return done()
      const marks = marksOfRoute(request)
      const reachedNoRoute = noRouteOf(request, reply)
      const begun = begunPinOf(request.raw, reply.raw)
      if (begun !== undefined) {
        ;(request as WithPin)[PIN] = begun
        pinning.meet(begun, request)
        const { askAccount } = pinning
        begun.join({
          reachedNoRoute,
          routeName: () => fastifyFramework.routeOf(request),
          account: askAccount && ((isKnown) => askAccount(request, isKnown)),
        })
        if (marks !== undefined) begun.remark(request.method, mergeMarks([begun.marks, marks]))
        return reenterContext(begun.context, done)
      }
      const pin = pinning.begin(request, {
        method: request.method,
        headers: request.raw.headers,
        response: reply.raw,
        marks,
        reachedNoRoute,
      })
      ;(request as WithPin)[PIN] = pin
      keepContext(request.raw, reply.raw, pin)
      runInContext(pin.context, done)
    })

    const hasToWait = settings.pin === 'exact' || settings.accounts !== undefined
    const waiting = {
      beforeHandler:
        settings.accounts && ((request: FastifyRequest) => (request as WithPin)[PIN]?.bringAccountPin()),
      beforeHeaders: (request: FastifyRequest) => (request as WithPin)[PIN]?.beforeHeaders(),
    }
    addLastHooks(app, reenterHook, hasToWait ? waiting : undefined)

    // The context can be lost on the way: a hook (a session store's) or a handler may go on in a callback of a client
    // that other requests use as well, and so run in theirs; or a hook may be called inside a scope, and go on in it.
    // So it is entered anew at the stages that run the application's code, and last of all before the handler.
    app.addHook('preValidation', reenterHook)
    app.addHook('preHandler', reenterHook)
    app.addHook('onError', (request, _reply, _error, done) => reenter(request, done))
    app.addHook('onSend', (request, _reply, payload, done) => reenter(request, () => done(null, payload)))
  }),
  { name: 'write-pinning', fastify: '5.x' },
)

const PIN = Symbol('write-pinning.request-pin')
type WithPin = FastifyRequest & { [PIN]: BegunPin | null }

const fastifyFramework = {
  isHttps: (request: FastifyRequest) => request.protocol?.toLowerCase() === 'https',
  routeOf: (request: FastifyRequest) => {
    const { url } = request.routeOptions
    const name = url === undefined ? 'A request that reached no route' : `${request.method} ${url}`
    return { key: name, name }
  },
  logOf: ({ log }: FastifyRequest) => logOf(log),
}

/** `@fastify/cookie` loads what serializes cookies when it is registered: where nobody has, it is, out of the way. */
async function cookieSerializer(app: FastifyInstance): Promise<Framework<FastifyRequest>['serializeCookie']> {
  if (app.hasDecorator('serializeCookie')) return app.serializeCookie
  // Its `default`: a bundler may give no other name of a CommonJS package.
  const { default: fastifyCookie } = await importPeer(
    'write-pinning/fastify',
    '@fastify/cookie',
    () => import('@fastify/cookie'),
  )
  let serialize: FastifyInstance['serializeCookie'] | undefined
  await app.register(async (child) => {
    await child.register(fastifyCookie, { hook: false })
    serialize = child.serializeCookie
  })
  return serialize as FastifyInstance['serializeCookie']
}

/**
 * Whether the router found nothing. That is asked at once, because a handler may say `reply.callNotFound()` later. What no route
 * answers may be answered by a hook, as Express under `@fastify/express` does: only a 404 reached nothing.
 */
function noRouteOf(request: FastifyRequest, reply: FastifyReply): () => boolean {
  return request.is404 ? () => reply.raw.statusCode === 404 : never
}

const never = () => false

const reenterHook: preHandlerHookHandler = (request, _reply, done) => reenter(request, done)

function reenter(request: FastifyRequest, next: () => void): void {
  const context = (request as WithPin)[PIN]?.context
  if (context === undefined) next()
  else reenterContext(context, next)
}

// Fastify hands a plugin its own options together with the plugin's.
function ownOptions(options: object): object {
  if (typeof options !== 'object') return options
  const { prefix, logLevel, logSerializers, ...own } = options as Record<string, unknown>
  return own
}

function alreadyRegistered(): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_ALREADY_REGISTERED',
    'writePinning is registered already, here or in a parent; register it once.',
  )
}
