import { Writable } from 'node:stream'
import { type FastifyServerOptions, fastify } from 'fastify'
import { expect, test } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import { SECRET } from '../support/exact.ts'
import { listen } from '../support/http.ts'
import { warningsOf } from '../support/warnings.ts'

/** Has a warning of the plugin's be said in an application, by a pin that nobody has signed. */
async function warnIn(options: FastifyServerOptions): Promise<void> {
  const app = fastify(options)
  await app.register(writePinning, { secret: SECRET })
  app.get('/', async () => 'done')
  const agent = (await listen(app))()
  await agent.forge(`1t${(Date.now() + 10_000).toString(36)}`)
  await agent.get('/')
  await app.close()
}

test('warnings go to the application’s log', async () => {
  let written = ''
  const stream = new Writable({
    write(chunk, _encoding, done) {
      written += chunk
      done()
    },
  })
  expect(await warningsOf(() => warnIn({ logger: { level: 'warn', stream } }))).toEqual([])
  expect(written).toContain('signature is missing or wrong')
})

test('and are warnings of the process where it has none', async () => {
  expect(await warningsOf(() => warnIn({}))).toEqual(['WRITE_PINNING_RESPONSE'])
})
