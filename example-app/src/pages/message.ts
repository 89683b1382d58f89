import { html } from '../html.ts'
import { document, mark } from './layout.ts'

/** A page with a message, and the way back to the shop. */
export function messagePage(title: string, text: string): string {
  return document(
    title,
    html`
      <header class="top"><a class="brand" href="/">${mark}<span>Windfall</span></a></header>
      <main>
        <div class="empty">
          <h1>${title}</h1>
          <p>${text}</p>
          <a class="button" href="/">Back to the shop</a>
        </div>
      </main>`,
  ).toString()
}
