import { fork } from 'node:child_process'
import { once } from 'node:events'
import { sendRequests } from './http-client.js'

const CONNECTIONS = 8

/** One application of `fastify-server.js`, and the client that measures it. */
export class AppProcess {
  #process
  #port

  /** @param {string} app */
  static async start(app) {
    const child = fork(new URL('./fastify-server.js', import.meta.url), [app])
    const [{ port }] = await once(child, 'message')
    return new AppProcess(child, port)
  }

  /**
   * @param {import('node:child_process').ChildProcess} child
   * @param {number} port
   */
  constructor(child, port) {
    this.#process = child
    this.#port = port
  }

  /**
   * Sends the request `count` times.
   *
   * @param {string} request
   * @param {number} count
   */
  async measure(request, count) {
    const cpuBefore = await this.#cpuUs()
    const startMs = performance.now()
    await sendRequests({ port: this.#port, connections: CONNECTIONS, count, request })
    const perSecond = (count * 1000) / (performance.now() - startMs)
    return { perSecond, cpuUs: ((await this.#cpuUs()) - cpuBefore) / count }
  }

  /** A pin that the server sets after a write, as a `Cookie` header. */
  async pin() {
    const { headers } = await fetch(`http://127.0.0.1:${this.#port}/`, { method: 'POST' })
    return headers.get('set-cookie')?.split(';')[0]
  }

  async stop() {
    this.#process.disconnect()
    await once(this.#process, 'exit')
  }

  async #cpuUs() {
    this.#process.send('cpu')
    const [{ cpuUs }] = await once(this.#process, 'message')
    return cpuUs
  }
}
