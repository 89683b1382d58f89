import type { Ask } from './catalog-queries.ts'

/**
 * Asks a question page by page, and gives the rows of each page. Each row says which object is the last of its page.
 */
export async function* pagesOf<Row extends { readonly last?: string | null }>(
  ask: Ask,
  query: string,
  size: number,
  ...values: readonly unknown[]
): AsyncGenerator<readonly Row[]> {
  for (let last: string | null | undefined = '0'; last !== undefined && last !== null; ) {
    const rows: readonly Row[] = await ask<Row>(query, [last, size, ...values])
    yield rows
    last = rows.at(-1)?.last
  }
}
