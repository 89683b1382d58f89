import type { FastifyInstance, FastifyRequest, preHandlerHookHandler } from 'fastify'
import fastifyPlugin from 'fastify-plugin'
import { WritePinningError } from '../errors.ts'
import {
  type BegunPin,
  begunPinOf,
  enterContext,
  joinPin,
  mergeMarks,
  type PinCounts,
  Pinning,
  type PinningOptions,
  pinningSettings,
  UNPINNED,
  type WritePin,
} from '../pinning/index.ts'
import { frameworkOf, routeNameOf } from './framework.ts'
import { addLastHooks } from './last-hooks.ts'
import { onlyRegistered } from './refuse-misuse.ts'
import { checkRouteMarks, marksOfRoute } from './route-config.ts'

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
    /**
     * True: the route is a write, as a POST is: its reads go to the primary, and it pins. False: the route is no
     * write, even for a POST; a write that the router saw still pins. Default: the method decides.
     */
    dbWrite?: boolean
    /**
     * Where the route's reads go until it writes: `'primary'`, `'replica'`, or a node's name. This mark alone sets no
     * pin. Default: none.
     */
    readFrom?: string
  }
}

/**
 * Pins a user agent when it writes: after a write request, that user agent's reads go to the primary for
 * `pinningSeconds` (default 15). Register it before plugins whose `onRequest` hooks use the database.
 *
 * @throws {WritePinningError} at registration: `ERR_WRITE_PINNING_OPTION` for an option that is wrong or unknown, and
 * `ERR_WRITE_PINNING_ALREADY_REGISTERED` if the plugin is already registered, here or in a parent. A call by hand
 * throws `ERR_WRITE_PINNING_OPTION` at once.
 * @example
 * await app.register(writePinning)
 * app.post('/comment', async (request, reply) => {
 *   await db.insertInto('comment').values({ text: request.body.text }).execute()
 *   return reply.redirect('/', 303) // and that page shows the comment
 * })
 */
export const writePinning = fastifyPlugin(
  onlyRegistered(async (app: FastifyInstance, options: WritePinningOptions) => {
    // Another copy of this package has another symbol, but the same `writePin`.
    if (app.hasRequestDecorator(PIN) || app.hasRequestDecorator('writePin')) throw alreadyRegistered()
    const settings = pinningSettings<FastifyRequest>('writePinning', ownOptions(options))
    const pinning = new Pinning(settings, await frameworkOf(app))

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
      // If a child has registered the plugin for itself, that registration has begun the request, and counts.
      if ((request as WithPin)[PIN]) return done()
      const marks = marksOfRoute(request)
      // Read now, because a handler may call `reply.callNotFound()` later.
      const hasRoute = request.is404 ? no : yes
      const begun = begunPinOf(request.raw, reply.raw)
      if (begun === undefined) {
        const { method, raw: message } = request
        const pin = pinning.begin(request, { method, message, response: reply.raw, marks, hasRoute })
        ;(request as WithPin)[PIN] = pin
        return enterContext(pin, done)
      }
      ;(request as WithPin)[PIN] = begun
      pinning.takeOver(begun, request)
      joinPin(begun, reply.raw, {
        hasRoute,
        routeName: () => routeNameOf(request),
        account: pinning.accountOf(request),
      })
      if (marks !== undefined) begun.remark(request.method, mergeMarks([begun.marks, marks]))
      enterContext(begun, done)
    })

    const hasToWait = settings.pin === 'exact' || settings.accounts !== undefined
    const waiting = {
      beforeHandler:
        settings.accounts && ((request: FastifyRequest) => (request as WithPin)[PIN]?.bringAccountPin()),
      beforeHeaders: (request: FastifyRequest) => (request as WithPin)[PIN]?.beforeHeaders(),
    }
    addLastHooks(app, reenterHook, hasToWait ? waiting : undefined)

    // The context can be lost on the way. A hook (of a session store) or a handler may continue in the callback of a
    // client that several requests share, and so in the context of another request. Or a hook may be called inside a
    // scope, and continue in it. So the context is entered again before each stage that runs the application's code,
    // and last of all before the handler.
    app.addHook('preValidation', reenterHook)
    app.addHook('preHandler', reenterHook)
    app.addHook('onError', (request, _reply, _error, done) => reenter(request, done))
    app.addHook('onSend', (request, _reply, payload, done) => reenter(request, () => done(null, payload)))
  }),
  { name: 'write-pinning', fastify: '5.x' },
)

const PIN = Symbol('write-pinning.request-pin')
type WithPin = FastifyRequest & { [PIN]: BegunPin | null }

const yes = () => true
const no = () => false

const reenterHook: preHandlerHookHandler = (request, _reply, done) => reenter(request, done)

function reenter(request: FastifyRequest, next: () => void): void {
  const pin = (request as WithPin)[PIN]
  if (!pin) next()
  else enterContext(pin, next)
}

// Fastify passes its own options together with those of the plugin.
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
