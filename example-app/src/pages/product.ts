import type { Product } from '../database/shop-database.ts'
import { type Html, html } from '../html.ts'
import { illustration } from './illustration.ts'

const euros = new Intl.NumberFormat('en-IE', { style: 'currency', currency: 'EUR' })

export function price(cents: number): string {
  return euros.format(cents / 100)
}

/** A product on a shelf, with a form that adds it to the wishlist. */
export function productCard(product: Product, isWished: boolean): Html {
  return html`
          <li class="card">
            ${illustration(product.picture)}
            <p class="maker">${product.maker}</p>
            <h3>${product.name}</h3>
            <p class="blurb">${product.blurb}</p>
            <div class="buy">
              <span class="price">${price(product.priceCents)}</span>
              ${isWished ? html`<a class="wished" href="/wishlist">On your wishlist</a>` : addForm(product)}
            </div>
          </li>`
}

function addForm(product: Product): Html {
  return html`<form method="post" action="/wishlist/add">
                <input type="hidden" name="product" value="${product.id}">
                <button class="button">Add<span class="unseen"> ${product.name}</span> to wishlist</button>
              </form>`
}
