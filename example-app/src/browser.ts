import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'

/** A request of either framework, after its cookies were parsed. */
interface WithCookies {
  readonly cookies: Record<string, string | undefined>
}

export const WISHLIST_COOKIE = 'wishlist'
export const PINNING_COOKIE = 'pinning'
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

const oneYear = {
  path: '/',
  httpOnly: true,
  sameSite: 'lax',
  secure: 'auto',
  maxAge: 365 * 24 * 60 * 60,
} as const

/** The id of this browser's wishlist; `undefined` until it has added something. */
export function wishlistOf(request: WithCookies): string | undefined {
  const id = request.cookies[WISHLIST_COOKIE]
  return id !== undefined && UUID.test(id) ? id : undefined
}

/** Like {@link wishlistOf}, but gives the browser an id if it has none. Only forms call this: a look sets no cookie. */
export function ensureWishlist(request: FastifyRequest, reply: FastifyReply): string {
  const id = wishlistOf(request) ?? randomUUID()
  reply.setCookie(WISHLIST_COOKIE, id, oneYear)
  return id
}

/** Whether this browser has turned write pinning off, to see what happens without it. */
export function isPinningOff(request: WithCookies): boolean {
  return request.cookies[PINNING_COOKIE] === 'off'
}

export function turnPinning(to: 'on' | 'off', reply: FastifyReply): void {
  if (to === 'off') reply.setCookie(PINNING_COOKIE, 'off', oneYear)
  else reply.clearCookie(PINNING_COOKIE, oneYear)
}
