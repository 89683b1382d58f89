import { once } from 'node:events'
import { connect, createServer, type Server } from 'node:net'
import type { PostgresNode } from 'write-pinning/testing'

/** Makes a node answer at another address, too, until the server that this resolves with is closed. */
export async function serveAt(host: string, port: number, node: PostgresNode): Promise<Server> {
  const server = createServer({ noDelay: true }, (client) => {
    const target = connect({ host: node.host, port: node.port, noDelay: true })
    for (const socket of [client, target]) socket.on('error', () => {})
    client.pipe(target).pipe(client)
  })
  server.listen({ host, port })
  await once(server, 'listening')
  return server
}
