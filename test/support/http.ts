import { once } from 'node:events'
import {
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  request as requestHttp,
  type Server,
} from 'node:http'
import { request as requestHttps, Server as SecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import { CookieJar } from 'tough-cookie'

/** An answer, read to its end. */
export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly setCookies: readonly string[]
  readonly body: string
  // biome-ignore lint/suspicious/noExplicitAny: the tests know what they sent.
  json(): any
}

export interface RequestInit {
  readonly headers?: OutgoingHttpHeaders
  readonly body?: string | Buffer | URLSearchParams | FormData
  /** Sends the headers at once, and the body only when this resolves. */
  readonly bodyAfter?: Promise<unknown>
}

/** A user agent with its own cookie jar, over real HTTP. Unlike `fetch`, it can also send TRACE. */
export class UserAgent {
  readonly jar = new CookieJar()
  readonly origin: string

  constructor(origin: string) {
    this.origin = origin
  }

  async request(method: string, path: string, init: RequestInit = {}): Promise<Answer> {
    const url = new URL(path, this.origin)
    const cookie = await this.jar.getCookieString(url.href)
    const { body, type } = await encode(init.body)
    const headers = {
      ...(cookie !== '' && { cookie }),
      ...(type !== undefined && { 'content-type': type }),
      ...(body !== undefined && { 'content-length': body.byteLength }),
      ...init.headers,
    }
    const answer = await send(url, method, headers, body, init.bodyAfter)
    for (const each of answer.setCookies) await this.jar.setCookie(each, url.href, { ignoreError: true })
    return answer
  }

  get(path: string, init?: RequestInit): Promise<Answer> {
    return this.request('GET', path, init)
  }

  post(path: string, init?: RequestInit): Promise<Answer> {
    return this.request('POST', path, init)
  }

  /** The pin in the jar: the one with this name, or by default the one that was set last under a name of ours. */
  async pin(name?: string): Promise<string | undefined> {
    const cookies = await this.jar.getCookies(this.origin)
    return cookies.filter(({ key }) => isPinName(key, name)).at(-1)?.value
  }

  /** The names of the pins in the jar. */
  async pinNames(): Promise<string[]> {
    return (await this.jar.getCookies(this.origin)).map(({ key }) => key).filter((key) => isPinName(key))
  }

  /** Puts a pin into the jar, as a client with a forged pin would. */
  async forge(value: string, name = 'write_pin'): Promise<void> {
    await this.jar.setCookie(`${name}=${value}; Path=/`, this.origin)
  }
}

/** Starts the application on a free port of the loopback, and gives a function that makes user agents. */
export async function listen(app: FastifyInstance): Promise<() => UserAgent> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  return userAgentsOf(app.server)
}

/** Starts a server of Node.js's own in the same way. */
export async function listenOn(server: Server): Promise<() => UserAgent> {
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return userAgentsOf(server)
}

function userAgentsOf(server: Server): () => UserAgent {
  const { port } = server.address() as AddressInfo
  const protocol = server instanceof SecureServer ? 'https' : 'http'
  return () => new UserAgent(`${protocol}://127.0.0.1:${port}`)
}

/** The `Set-Cookie` of the pin in an answer; undefined if it sets none. */
export function pinCookie(answer: Answer, name?: string): string | undefined {
  const pins = answer.setCookies.filter((each) => isPinName(each.slice(0, each.indexOf('=')), name))
  if (pins.length > 1) throw new Error(`The pin was set ${pins.length} times`)
  return pins[0]
}

/** The value of a `Set-Cookie` header. */
export function valueOfCookie(cookie: string | undefined): string | undefined {
  return cookie === undefined ? undefined : /=([^;]*)/.exec(cookie)?.[1]
}

function isPinName(name: string, wanted?: string): boolean {
  return wanted === undefined ? /^write_pin(?:_[\w-]{3})?(?:_seen)?$/.test(name) : name === wanted
}

function send(
  url: URL,
  method: string,
  headers: OutgoingHttpHeaders,
  body?: Buffer,
  bodyAfter?: Promise<unknown>,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestHttps : requestHttp
    const options = { method, headers, agent: false, rejectUnauthorized: false }
    const sent = request(url, options, async (response) => {
      const received = await text(response).catch(reject)
      if (received === undefined) return
      resolve({
        status: response.statusCode ?? 0,
        headers: response.headers,
        setCookies: response.headers['set-cookie'] ?? [],
        body: received,
        json: () => JSON.parse(received),
      })
    })
    sent.on('error', reject)
    if (bodyAfter === undefined) {
      sent.end(body)
      return
    }
    sent.flushHeaders()
    bodyAfter.then(() => sent.end(body), reject)
  })
}

async function encode(body: RequestInit['body']): Promise<{ body?: Buffer; type?: string | undefined }> {
  if (body === undefined) return {}
  if (typeof body === 'string') return { body: Buffer.from(body), type: 'application/json' }
  if (Buffer.isBuffer(body)) return { body, type: 'application/octet-stream' }
  const encoded = new Response(body)
  return {
    body: Buffer.from(await encoded.arrayBuffer()),
    type: encoded.headers.get('content-type') ?? undefined,
  }
}
