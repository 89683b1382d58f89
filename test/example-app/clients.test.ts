import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CLIENTS, openDatabase } from '../../example-app/src/database/open.ts'
import type { ShopDatabase } from '../../example-app/src/database/shop-database.ts'
import { migrate } from '../../example-app/src/migrations.ts'
import { firstProducts } from '../../example-app/src/products.ts'
import { useCluster } from '../support/shop.ts'

const { cluster } = useCluster()

describe.each(CLIENTS)('the shop with CLIENT=%s', (client) => {
  let db: ShopDatabase

  beforeAll(async () => {
    db = openDatabase(client, {
      primary: cluster.primary.connectionString,
      replicas: cluster.replicas.map((replica) => replica.connectionString),
    })
    await migrate(db)
  })

  afterAll(() => db?.close())

  it('has all products, in their order, and each by its number', async () => {
    const products = await db.listProducts()
    expect(products.map(({ name }) => name)).toEqual(firstProducts.map(({ name }) => name))
    expect(Object.keys(products[0] ?? {})).toEqual(['id', 'picture', 'name', 'maker', 'blurb', 'priceCents'])
    expect(await db.findProduct(products[1]?.id as number)).toEqual(products[1])
    expect(await db.findProduct(999)).toBeUndefined()
  })

  it('keeps a wishlist: what is added twice is wished for twice, and what is changed or removed is', async () => {
    const wishlist = randomUUID()
    expect(await db.addItem(wishlist, 1)).toEqual({ quantity: 1, note: '', isGift: false })
    expect(await db.addItem(wishlist, 1)).toEqual({ quantity: 2, note: '', isGift: false })
    await db.addItem(wishlist, 2)
    const wish = { quantity: 99, note: 'the red one?', isGift: true }
    expect(await db.changeItem(wishlist, 1, wish)).toEqual(wish)
    expect(await db.addItem(wishlist, 1)).toEqual(wish)
    expect(await db.changeItem(wishlist, 3, wish)).toBeUndefined()

    const [first, second] = [await db.findProduct(1), await db.findProduct(2)]
    expect(await db.listItems(wishlist)).toEqual([
      { product: second, quantity: 1, note: '', isGift: false },
      { product: first, ...wish },
    ])
    await db.removeItem(wishlist, 2)
    expect(await db.listItems(wishlist)).toEqual([{ product: first, ...wish }])
    expect(await db.listItems(randomUUID())).toEqual([])
  })

  it('does what is in a transaction together, or not at all', async () => {
    const failed = db.transaction(async (run) => {
      await run("insert into migration values ('never?')")
      await run('select nothing from nowhere')
    })
    await expect(failed).rejects.toThrow('nowhere')
    expect(await db.run("select 1 from migration where name like 'never%'")).toEqual([])
    expect(await db.transaction((run) => run("select '?' as it"))).toEqual([{ it: '?' }])
    await expect(db.run('select nothing from nowhere')).rejects.toMatchObject({ code: '42P01' })
  })
})
