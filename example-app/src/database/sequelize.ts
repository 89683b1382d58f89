import { BaseError, DataTypes, type Model, QueryTypes, Sequelize, type Transaction } from 'sequelize'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { connectionsOf, nodesOf, type Servers } from './servers.ts'
import { MAX_QUANTITY, type Product, type Run, type ShopDatabase, type Wish } from './shop-database.ts'

interface WishRow extends Wish {
  wishlist: string
  productId: number
  addedAt: Date
}

/** Opens one pool over all servers, and Sequelize on top of its driver: each statement goes where it belongs. */
export function openWithSequelize(servers: Servers): ShopDatabase {
  const pool = new PrimaryReplicaPool(nodesOf(servers))
  const db = new Sequelize({
    dialect: 'postgres',
    dialectModule: pool.driver,
    pool: { max: connectionsOf(servers) },
    logging: false,
    define: { timestamps: false, underscored: true },
  })
  const { products, wishes } = defineModels(db)
  return {
    listProducts: async () => (await products.findAll({ order: ['id'] })).map(plain),

    async findProduct(id) {
      const product = await products.findByPk(id)
      return product === null ? undefined : plain(product)
    },

    async listItems(wishlist) {
      const rows = await wishes.findAll({
        where: { wishlist },
        include: 'product',
        order: [['addedAt', 'DESC']],
      })
      return rows.map((row) => {
        const { product, quantity, note, isGift } = plain(row) as WishRow & { product: Product }
        return { product, quantity, note, isGift }
      })
    },

    async addItem(wishlist, product) {
      // Sequelize's own `upsert()` can only set a value, not add one to the old value.
      const [added] = await db.query<Wish>(
        `insert into wishlist_items (wishlist_id, product_id) values ($wishlist, $product)
          on conflict (wishlist_id, product_id)
            do update set quantity = least(wishlist_items.quantity + 1, ${MAX_QUANTITY})
          returning quantity, note, is_gift as "isGift"`,
        { bind: { wishlist, product }, type: QueryTypes.SELECT },
      )
      return added as Wish
    },

    async changeItem(wishlist, product, changes) {
      const [, [changed]] = await wishes.update(changes, {
        where: { wishlist, productId: product },
        returning: true,
      })
      if (changed === undefined) return undefined
      const { quantity, note, isGift } = plain(changed)
      return { quantity, note, isGift }
    },

    async removeItem(wishlist, product) {
      await wishes.destroy({ where: { wishlist, productId: product } })
    },

    run: runOn(db),
    transaction: (work) => db.transaction((transaction) => work(runOn(db, transaction))),
    async close() {
      await db.close()
      await pool.end()
    },
  }
}

function defineModels(db: Sequelize) {
  const products = db.define<Model<Product>>('product', {
    id: { type: DataTypes.INTEGER, primaryKey: true, autoIncrement: true },
    picture: DataTypes.TEXT,
    name: DataTypes.TEXT,
    maker: DataTypes.TEXT,
    blurb: DataTypes.TEXT,
    priceCents: DataTypes.INTEGER,
  })
  const wishes = db.define<Model<WishRow>>('wishlist_item', {
    wishlist: { type: DataTypes.UUID, field: 'wishlist_id', primaryKey: true },
    productId: { type: DataTypes.INTEGER, primaryKey: true },
    quantity: DataTypes.INTEGER,
    note: DataTypes.TEXT,
    isGift: DataTypes.BOOLEAN,
    addedAt: DataTypes.DATE,
  })
  wishes.belongsTo(products, { as: 'product', foreignKey: 'productId' })
  return { products, wishes }
}

function plain<Row extends object>(row: Model<Row>): Row {
  return row.get({ plain: true })
}

function runOn(db: Sequelize, transaction: Transaction | null = null): Run {
  return async (text) => {
    try {
      return await db.query<Record<string, unknown>>(text, { type: QueryTypes.SELECT, transaction })
    } catch (error) {
      // Sequelize wraps the server's error in its own.
      throw error instanceof BaseError && 'parent' in error ? error.parent : error
    }
  }
}
