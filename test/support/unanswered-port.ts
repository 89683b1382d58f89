import { once } from 'node:events'
import { connect } from 'node:net'
import { Worker } from 'node:worker_threads'

/** A port that never answers a connect, as behind a firewall that drops packets. */
export interface UnansweredPort {
  readonly port: number
  /** Frees the port. Connects are then refused. */
  free(): Promise<void>
}

/**
 * A connect without an answer for this long shows that the queue is full, in ms. On the loopback an answer comes at
 * once.
 */
const FULL_MS = 500

/**
 * Makes connects to a port of the loopback hang, with no answer to their SYN. The listener's queue is full, and
 * nobody takes from it. Linux then drops a SYN, and the client's kernel tries again after a second or more.
 */
export async function leaveUnanswered(port = 0): Promise<UnansweredPort> {
  const worker = new Worker(LISTEN_AND_BLOCK, { eval: true, workerData: port })
  const [listening] = (await once(worker, 'message')) as [number]
  // A queue of one takes two connections. If others were quicker, it is already full, and a filler is the first that
  // gets no answer.
  const fillers = [connect(listening, '127.0.0.1'), connect(listening, '127.0.0.1')]
  for (const filler of fillers) filler.on('error', () => {})
  const signal = AbortSignal.timeout(FULL_MS)
  await Promise.all(fillers.map((filler) => once(filler, 'connect', { signal }).catch(() => {})))
  const free = async () => {
    await worker.terminate()
    for (const filler of fillers) filler.destroy()
  }
  return { port: listening, free }
}

// A separate thread: Node.js takes connections from the queue as soon as its event loop turns.
const LISTEN_AND_BLOCK = `
  const { parentPort, workerData } = require('node:worker_threads')
  const server = require('node:net').createServer()
  server.listen({ port: workerData, host: '127.0.0.1', backlog: 1, exclusive: true }, () => {
    parentPort.postMessage(server.address().port)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`
