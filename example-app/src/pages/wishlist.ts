import { MAX_QUANTITY, type Product, type WishlistItem } from '../database/shop-database.ts'
import { type Html, html } from '../html.ts'
import type { Page } from './frame.ts'
import { illustration } from './illustration.ts'
import { price, productCard } from './product.ts'

export const MAX_NOTE_LENGTH = 140

export function wishlistPage(items: readonly WishlistItem[], products: readonly Product[]): Page {
  const wished = new Set(items.map((item) => item.product.id))
  const others = products.filter((product) => !wished.has(product.id)).slice(0, 4)
  return {
    title: 'Your wishlist',
    path: '/wishlist',
    main: html`
        <div class="intro">
          <h1>Your wishlist</h1>
          ${items.length > 0 && html`<p>${summary(items)}</p>`}
        </div>
        ${items.length > 0 ? html`<ul class="wishes">${items.map(wish)}</ul>` : empty}
        ${others.length > 0 && moreProducts(others)}`,
  }
}

function summary(items: readonly WishlistItem[]): string {
  const count = items.reduce((sum, { quantity }) => sum + quantity, 0)
  const cents = items.reduce((sum, { quantity, product }) => sum + quantity * product.priceCents, 0)
  return `${count} ${count === 1 ? 'thing' : 'things'}, ${price(cents)} in all`
}

const empty = html`
        <div class="empty">
          ${illustration('basket')}
          <h2>Nothing here yet</h2>
          <p>What you add in the shop is kept here for you.</p>
          <a class="button" href="/">Look around the shop</a>
        </div>`

function moreProducts(products: readonly Product[]): Html {
  return html`
        <section class="more" aria-labelledby="more">
          <h2 id="more">More to wish for</h2>
          <ul class="shelf">${products.map((product) => productCard(product, false))}
          </ul>
        </section>`
}

function wish({ product, quantity, note, isGift }: WishlistItem): Html {
  const field = (name: string) => `${name}-${product.id}`
  return html`
          <li class="wish" data-product="${product.picture}">
            ${illustration(product.picture)}
            <div class="what">
              <p class="maker">${product.maker}</p>
              <h2>${product.name}${isGift && html` <span class="gift">Gift</span>`}</h2>
              <p class="price">${price(product.priceCents)}</p>
            </div>
            <form method="post" action="/wishlist/${product.id}" aria-label="${product.name}">
              <div class="field note">
                <label for="${field('note')}">Note</label>
                <input id="${field('note')}" name="note" value="${note}" maxlength="${MAX_NOTE_LENGTH}"
                  placeholder="Colour, size, why…" autocomplete="off">
              </div>
              <div class="field quantity">
                <label for="${field('quantity')}">Quantity</label>
                <input id="${field('quantity')}" name="quantity" value="${quantity}" type="number" min="1"
                  max="${MAX_QUANTITY}" required>
              </div>
              <label class="check"><input type="checkbox" name="gift"${isGift && html` checked`}> It is a gift</label>
              <div class="actions">
                <button class="button quiet">Save<span class="unseen"> ${product.name}</span></button>
                <button class="button plain" formaction="/wishlist/${product.id}/remove" formnovalidate>
                  Remove<span class="unseen"> ${product.name}</span></button>
              </div>
            </form>
          </li>`
}
