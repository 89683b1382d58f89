import type { FastifyReply, FastifyRequest } from 'fastify'
import { isPinningOff } from '../browser.ts'
import type { Page } from '../pages/frame.ts'
import { layout } from '../pages/layout.ts'
import type { Visit } from '../visit.ts'

/** Sends a page in the frame that all pages share. The frame shows where each statement went, so it is made last. */
export function sendPage(
  request: FastifyRequest,
  reply: FastifyReply,
  visit: Visit,
  page: Page,
): FastifyReply {
  const frame = {
    visit,
    pin: request.writePin,
    isPinningOff: isPinningOff(request),
    statements: request.statements,
    now: Date.now(),
  }
  return reply
    .type('text/html; charset=utf-8')
    .header('cache-control', 'private, no-cache')
    .send(layout(page, frame).toString())
}
