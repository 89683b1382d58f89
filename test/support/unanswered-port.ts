import { once } from 'node:events'
import { connect } from 'node:net'
import { Worker } from 'node:worker_threads'

/** A port whose connects are never answered, as behind a firewall that drops packets. */
export interface UnansweredPort {
  readonly port: number
  /** From here on connects are refused. */
  free(): Promise<void>
}

/**
 * Makes connects to a port of the loopback hang, with no answer to their SYN: a listener's queue is full, and nobody
 * takes from it. Linux drops a SYN then; what was refused here is retried by the client's kernel after a second or more.
 */
export async function leaveUnanswered(port = 0): Promise<UnansweredPort> {
  const worker = new Worker(LISTEN_AND_BLOCK, { eval: true, workerData: port })
  const [listening] = (await once(worker, 'message')) as [number]
  // A queue of one takes two.
  const fillers = [connect(listening, '127.0.0.1'), connect(listening, '127.0.0.1')]
  await Promise.all(fillers.map((filler) => once(filler, 'connect')))
  for (const filler of fillers) filler.on('error', () => {})
  const free = async () => {
    await worker.terminate()
    for (const filler of fillers) filler.destroy()
  }
  return { port: listening, free }
}

// A thread of its own: Node.js takes connections from the queue as soon as its event loop turns.
const LISTEN_AND_BLOCK = `
  const { parentPort, workerData } = require('node:worker_threads')
  const server = require('node:net').createServer()
  server.listen({ port: workerData, host: '127.0.0.1', backlog: 1, exclusive: true }, () => {
    parentPort.postMessage(server.address().port)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`
