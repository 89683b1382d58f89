import type { Product, WishlistItem } from '../database/shop-database.ts'
import { html } from '../html.ts'
import type { Page } from './frame.ts'
import { productCard } from './product.ts'

export function shopPage(products: readonly Product[], items: readonly WishlistItem[]): Page {
  const wished = new Set(items.map((item) => item.product.id))
  return {
    title: 'Shop',
    path: '/',
    main: html`
        <div class="intro">
          <h1>Well-made things, for someday</h1>
          <p>Put what you like on your wishlist, say why, and let somebody find out.</p>
          <p>This shop reads from replicas. Turn “Write pinning” off, add something, and see what happens to it.</p>
        </div>
        <ul class="shelf">${products.map((product) => productCard(product, wished.has(product.id)))}
        </ul>`,
  }
}
