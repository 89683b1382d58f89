import Fastify from 'fastify'
import { writePinning } from 'write-pinning/fastify'

/**
 * Runs `fn` in the handler of a GET without a pin, because real queries run in handlers.
 *
 * @template T
 * @param {() => Promise<T>} fn
 * @returns {Promise<T>}
 */
export async function inRequest(fn) {
  const app = Fastify()
  await app.register(writePinning)
  /** @type {T | undefined} */
  let result
  app.get('/', async () => {
    result = await fn()
    return {}
  })
  const { statusCode, body } = await app.inject('/')
  await app.close()
  if (statusCode !== 200) throw new Error(body)
  return /** @type {T} */ (result)
}
