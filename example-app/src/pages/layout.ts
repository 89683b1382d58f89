import { href } from '../assets.ts'
import { type Html, html } from '../html.ts'
import { footer } from './footer.ts'
import type { Frame, Page } from './frame.ts'
import { notice } from './notice.ts'

/** The frame that all pages share. */
export function layout(page: Page, frame: Frame): Html {
  const wished = frame.visit.items.length
  return document(
    page.title,
    html`
      <header class="top">
        <a class="brand" href="/">${mark}<span>Windfall</span></a>
        <nav aria-label="Pages">
          ${link('/', 'Shop', page)}
          ${link('/wishlist', html`Wishlist${wished > 0 && html` <span class="count">${wished}</span>`}`, page)}
        </nav>
        ${pinningSwitch(page, frame.isPinningOff)}
      </header>
      <main>
        ${notice(frame.visit)}
        ${page.main}
      </main>
      ${footer(frame)}`,
  )
}

/** The bare document. Pages outside a visit use it directly. */
export function document(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>${title} · Windfall</title>
    <link rel="icon" href="${href('icon.svg')}">
    <link rel="stylesheet" href="${href('style.css')}">
    <script src="${href('countdown.js')}" defer></script>
  </head>
  <body>${body}
  </body>
</html>
`
}

export const mark = html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
  <path d="M16 9c6-5 13 0 12 8-1 7-6 12-9 12-1 0-2-1-3-1s-2 1-3 1c-3 0-8-5-9-12-1-8 6-13 12-8z" fill="currentColor"/>
  <path d="M16 9c0-4 2-6 6-7 0 4-2 7-6 7z" class="leaf"/>
</svg>`

function link(path: string, text: Html | string, page: Page): Html {
  return html`<a href="${path}"${page.path === path && html` aria-current="page"`}>${text}</a>`
}

function pinningSwitch(page: Page, isOff: boolean): Html {
  return html`<form class="pinning" method="post" action="/pinning">
          <input type="hidden" name="page" value="${page.path}">
          <button role="switch" aria-checked="${isOff ? 'false' : 'true'}" name="pinning" value="${isOff ? 'on' : 'off'}">
            Write pinning <span class="state" aria-hidden="true">${isOff ? 'off' : 'on'}</span>
          </button>
        </form>`
}
