import { once } from 'node:events'
import { type IncomingMessage, request, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { fastify } from 'fastify'
import { afterEach, expect, it } from 'vitest'
import { markWrite } from 'write-pinning'
import { writePinning } from 'write-pinning/fastify'
import { memoryPinStore } from 'write-pinning/stores'
import { demandIn } from '../support/positions.ts'

const pinStore = memoryPinStore()
const demands: unknown[] = []
const app = fastify()
await app.register(writePinning, { pinningSeconds: 1, pinStore, account: () => 'anna' })
// As plugins for WebSockets do it: the route's hooks and its handler run, and no response is ever sent.
app.server.on('upgrade', (raw: IncomingMessage, socket: Socket) => {
  const response = new ServerResponse(raw)
  response.assignSocket(socket)
  app.routing(raw, response)
})
app.get('/socket', async (_request, reply) => {
  reply.hijack()
  reply.raw.socket?.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: test\r\nconnection: upgrade\r\n\r\n')
  for (let time = 0; time < 2; time++) {
    markWrite()
    demands.push(demandIn()?.reason)
    await expect.poll(() => demandIn()?.kind, { timeout: 5_000 }).toBe('any')
  }
  reply.raw.socket?.end()
})

afterEach(() => app.close())

it('a socket reads what it writes for as long as a pin lasts, and its account is pinned at once', async () => {
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  const headers = { connection: 'upgrade', upgrade: 'test' }
  const client = request({ host: '127.0.0.1', port, path: '/socket', headers }).end()
  const [, socket] = (await once(client, 'upgrade')) as [IncomingMessage, Socket]
  expect(await pinStore.get('anna')).toMatchObject({ kind: 'time' })
  await once(socket.resume(), 'end')
  expect(demands).toEqual(['own-write', 'own-write'])
})
