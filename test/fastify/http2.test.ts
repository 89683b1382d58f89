import { once } from 'node:events'
import { connect } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { fastify } from 'fastify'
import { describe, expect, it } from 'vitest'
import { writePinning } from 'write-pinning/fastify'
import type { RequestMemory } from '../../src/freshness/memory.ts'
import { memoryHere } from '../support/positions.ts'

describe('a response that pins', () => {
  it('over HTTP/2 carries the cookie', async () => {
    const app = fastify({ http2: true })
    await app.register(writePinning)
    app.post('/', async (_request, reply) => reply.header('set-cookie', 'own=1').send('done'))
    await app.listen({ host: '127.0.0.1', port: 0 })
    const session = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      session.on('error', reject)
      session.request({ ':method': 'POST', ':path': '/' }).on('response', resolve).on('error', reject).end()
    })
    session.destroy()
    await app.close()
    expect(headers['set-cookie']).toEqual(['own=1', expect.stringMatching(/^write_pin=/)])
  })
  it('over HTTP/2 lets go of its request when it is over', async () => {
    const app = fastify({ http2: true })
    await app.register(writePinning, { affinity: () => 'anna' })
    let memory: RequestMemory | undefined
    app.post('/', async () => {
      memory = memoryHere()
      return 'done'
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    const session = connect(`http://127.0.0.1:${(app.server.address() as AddressInfo).port}`)
    const stream = session.request({ ':method': 'POST', ':path': '/' })
    stream.resume().end()
    await once(stream, 'close')
    await expect.poll(() => memory?.affinityKey).toBeUndefined()
    expect(memory?.freshUntilMs).toBeLessThan(Number.POSITIVE_INFINITY)
    session.destroy()
    await app.close()
  })
})
