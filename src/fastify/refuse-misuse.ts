import type { FastifyInstance } from 'fastify'
import { WritePinningError } from '../errors.ts'
import { throwWhenRead } from '../pinning/index.ts'

type Plugin<Options> = (app: FastifyInstance, options: Options) => Promise<void>

/** Wraps the plugin: if it is called by hand, or used as a middleware or a hook, its error says what to write. */
export function onlyRegistered<Options>(plugin: Plugin<Options>): Plugin<Options> {
  const registered = (app: FastifyInstance, options: Options, ...rest: unknown[]) => {
    if (typeof app?.hasRequestDecorator === 'function') return plugin(app, options)
    // Express and Fastify's hooks call it with a request, a response, and a function that continues. They pass on
    // what it throws.
    throw typeof rest[0] === 'function' ? usedAsMiddleware() : calledByHand()
  }
  // Express's `app.use()` reads this property at once. A router and a route read nothing before the first request.
  throwWhenRead(registered, 'handle', usedAsMiddleware)
  return registered
}

function calledByHand(): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    "writePinning of 'write-pinning/fastify' is the plugin itself, and is not called: write `await app.register(writePinning)`, " +
      'or `await app.register(writePinning, { … })` with options. ' +
      "For Express, import it from 'write-pinning/express' and write `app.use(writePinning())`.",
  )
}

function usedAsMiddleware(): WritePinningError {
  return new WritePinningError(
    'ERR_WRITE_PINNING_OPTION',
    "writePinning of 'write-pinning/fastify' is a plugin and no middleware: for Express, import it from 'write-pinning/express' " +
      'and write `app.use(writePinning())`; for Fastify, write `await app.register(writePinning)`.',
  )
}
