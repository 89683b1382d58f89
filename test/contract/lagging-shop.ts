import { beforeAll, expect, vi } from 'vitest'
import { whereAndWhyInRequest } from '../support/request.ts'
import { type Shop, useShop } from '../support/shop.ts'

/** A shop whose replicas lag: they replay nothing while a test runs, and have caught up before the next. */
export function useLaggingShop(): Shop {
  const shop = useShop({ replicas: 2, isLate: true, dialect: { unpinnedTables: ['session'] } })
  const { read } = shop

  // A replica that is late from the start serves nobody: what makes it late comes after it was known to be fit.
  beforeAll(() =>
    vi.waitFor(async () => expect(await whereAndWhyInRequest(read)).toEqual(['replica: read']), {
      timeout: 20_000,
    }),
  )

  return shop
}
