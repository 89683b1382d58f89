import { type Html, html } from '../html.ts'
import type { Visit } from '../visit.ts'

/** One line about the browser's last write: that it is done, or that this page does not show it yet. */
export function notice({ lastWrite }: Visit): Html | undefined {
  if (!lastWrite) return undefined
  const { verb, product, isShown, readFrom } = lastWrite

  if (isShown) {
    return html`<p class="notice" role="status"><span>${confirmations[verb](product.name)}</span></p>`
  }
  return html`<p class="notice late" role="status">
    <span>You just ${verb} <strong>${product.name}</strong>. Your wishlist was read from
    <strong>${readFrom}</strong>, which ${excuses[verb]}.</span>
    <a href="">Look again</a>
  </p>`
}

const confirmations = {
  added: (name: string) => html`<strong>${name}</strong> is on your wishlist.`,
  changed: (name: string) => html`Your changes to <strong>${name}</strong> are saved.`,
  removed: (name: string) => html`<strong>${name}</strong> is off your wishlist.`,
}

const excuses = {
  added: 'has not replayed it yet',
  changed: 'still has it as it was',
  removed: 'still has it',
}
