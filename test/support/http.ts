import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { CookieJar } from 'tough-cookie'

/** A user agent with a cookie jar of its own, over real HTTP. */
export class UserAgent {
  readonly jar = new CookieJar()
  readonly #origin: string

  constructor(origin: string) {
    this.#origin = origin
  }

  async request(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const url = `${this.#origin}${path}`
    const headers = new Headers(init.headers)
    const cookie = await this.jar.getCookieString(url)
    if (cookie !== '' && !headers.has('cookie')) headers.set('cookie', cookie)
    const response = await fetch(url, { redirect: 'manual', ...init, method, headers })
    for (const each of response.headers.getSetCookie()) await this.jar.setCookie(each, url)
    return response
  }

  get(path: string, init?: RequestInit): Promise<Response> {
    return this.request('GET', path, init)
  }

  post(path: string, init?: RequestInit): Promise<Response> {
    return this.request('POST', path, init)
  }

  /** The pin that the jar holds, if any. */
  async pin(name = 'write_pin'): Promise<string | undefined> {
    const cookies = await this.jar.getCookies(this.#origin)
    return cookies.find((each) => each.key === name)?.value
  }
}

/** Starts the application on a free port of the loopback and gives a maker of user agents. */
export async function listen(app: FastifyInstance): Promise<() => UserAgent> {
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as AddressInfo
  return () => new UserAgent(`http://127.0.0.1:${port}`)
}

/** The pinning cookie of a response, attribute by attribute; undefined where it sets none. */
export function pinCookie(response: Response, name = 'write_pin'): string | undefined {
  return response.headers.getSetCookie().find((each) => each.startsWith(`${name}=`))
}
