import { once } from 'node:events'
import { connect } from 'node:net'
import { Worker } from 'node:worker_threads'

/** A port whose connects are never answered, as behind a firewall that drops packets. */
export interface UnansweredPort {
  readonly port: number
  /** From here on connects are refused. */
  free(): Promise<void>
}

/** After how many ms without an answer the queue is full: on the loopback one comes at once. */
const FULL_MS = 500

/**
 * Makes connects to a port of the loopback hang, with no answer to their SYN: a listener's queue is full, and nobody
 * takes from it. Linux drops a SYN then; what was refused here is retried by the client's kernel after a second or more.
 */
export async function leaveUnanswered(port = 0): Promise<UnansweredPort> {
  const worker = new Worker(LISTEN_AND_BLOCK, { eval: true, workerData: port })
  const [listening] = (await once(worker, 'message')) as [number]
  // A queue of one takes two. Where others were quicker, it is full already, and a filler is the first that nobody answers.
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

// A thread of its own: Node.js takes connections from the queue as soon as its event loop turns.
const LISTEN_AND_BLOCK = `
  const { parentPort, workerData } = require('node:worker_threads')
  const server = require('node:net').createServer()
  server.listen({ port: workerData, host: '127.0.0.1', backlog: 1, exclusive: true }, () => {
    parentPort.postMessage(server.address().port)
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)
  })`
