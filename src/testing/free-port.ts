import { createServer } from 'node:net'

// Below the range from which Linux and macOS take the ports of outgoing connections, as in PostgreSQL's own test
// harness. So no outgoing connection can take a node's port while the node is down.
const FIRST_PORT = 10_200
const LAST_PORT = 32_767

/** A port on 127.0.0.1 that the kernel says is free. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST_PORT + Math.floor(Math.random() * (LAST_PORT - FIRST_PORT + 1))
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)))
  })
}
