import { AsyncLocalStorage } from 'node:async_hooks'
import {
  ConnectionError,
  ConnectionRefusedError,
  DataTypes,
  ForeignKeyConstraintError,
  type Options,
  Sequelize,
  UniqueConstraintError,
} from 'sequelize'
import { afterEach, describe, expect, it } from 'vitest'
import { usePrimary } from 'write-pinning'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { askForPassword } from '../support/password.ts'
import { inRequest } from '../support/request.ts'
import { whereAndWhy } from '../support/routes.ts'
import { terminateClients } from '../support/server-clients.ts'
import { nodesOf, type Options as PoolOptions } from './client.ts'
import { running, startCluster } from './contract.ts'

const cluster = await startCluster()
const opened: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const close of opened.splice(0)) await close()
})

/** Sequelize over a pool of its own, for one test. */
async function open(options: Options = {}, nodes: PoolOptions = nodesOf(cluster)): Promise<Sequelize> {
  const pool = new PrimaryReplicaPool(nodes as ReturnType<typeof nodesOf>)
  await pool.ready()
  const db = new Sequelize({
    dialect: 'postgres',
    dialectModule: pool.driver,
    logging: false,
    ...options,
  } as Options)
  opened.push(async () => {
    await db.close()
    await pool.end()
  })
  return db
}

function itemOf(db: Sequelize) {
  return db.define('item', { name: DataTypes.TEXT }, { tableName: 'item', timestamps: false })
}

it('has what it remembers of its migrations and seeds read on the primary, by whatever case it is called', async () => {
  const pool = new PrimaryReplicaPool({ ...nodesOf(cluster), withoutContext: 'replica' })
  await pool.ready()
  const routes = await whereAndWhy(async () => {
    for (const table of ['SequelizeMeta', 'SequelizeData'])
      await pool.query(`select name from "${table}"`).catch(() => {})
  })
  expect(routes).toEqual(Array(2).fill('primary: primary-table'))
  await pool.end()
})

describe('Sequelize', () => {
  it('reads on the replica, also after it has written on the same client', async () => {
    const db = await open({ pool: { max: 1 } })
    const Item = itemOf(db)
    await inRequest(() => Item.count())
    const routes = await whereAndWhy(async () => {
      await inRequest(() => Item.create({ name: 'lamp' }))
      await inRequest(() => Item.findAll())
    })
    expect(routes).toEqual(['primary: write', 'replica: read'])
  })

  it('knows the version of the server, and its types, before its first query', async () => {
    const db = await open()
    await inRequest(() => db.authenticate())
    const { databaseVersion } = (db as unknown as { options: { databaseVersion: string } }).options
    expect(databaseVersion).toMatch(/^\d+\.\d+\.\d+$/)
    const [rows] = await inRequest(() => db.query("select '1.5'::numeric as a, int4range(1, 3) as b"))
    expect(rows).toMatchObject([{ a: '1.5', b: [{ value: 1 }, { value: 3 }] }])
  })

  it('makes its tables, and finds them made', async () => {
    const db = await open()
    const Shelf = db.define(
      'shelf',
      { name: { type: DataTypes.STRING, unique: true } },
      { timestamps: false },
    )
    const Book = db.define('book', { title: DataTypes.STRING }, { timestamps: false })
    Shelf.hasMany(Book)
    Book.belongsTo(Shelf)
    await db.sync()
    await db.sync({ alter: true })
    await inRequest(async () => {
      const shelf = await Shelf.create({ name: 'high' })
      await Book.create({ title: 'one', shelfId: shelf.get('id') })
      expect(await Shelf.findAll({ include: Book })).toMatchObject([{ books: [{ title: 'one' }] }])
      await expect(Shelf.create({ name: 'high' })).rejects.toBeInstanceOf(UniqueConstraintError)
      await expect(Book.create({ shelfId: 99 })).rejects.toBeInstanceOf(ForeignKeyConstraintError)
    })
    await db.drop()
  })

  it('has transactions within transactions', async () => {
    const db = await open()
    const Item = itemOf(db)
    await inRequest(() =>
      db.transaction(async (outer) => {
        await Item.create({ name: 'kept' }, { transaction: outer })
        const inner = db.transaction({ transaction: outer }, async (transaction) => {
          await Item.create({ name: 'dropped' }, { transaction })
          expect(await Item.count({ transaction })).toBe(2)
          throw new Error('no')
        })
        await expect(inner).rejects.toThrow('no')
        expect(await Item.count({ transaction: outer })).toBe(1)
      }),
    )
    expect(await cluster.primary.query('select name from item')).toEqual([{ name: 'kept' }])
  })

  it('finds its transaction by the context that a function runs in', async () => {
    const storage = new AsyncLocalStorage<Map<string, unknown>>()
    const namespace = {
      get: (key: string) => storage.getStore()?.get(key),
      set: (key: string, value: unknown) => storage.getStore()?.set(key, value),
      run: (work: (context: object) => void) => storage.run(new Map(storage.getStore()), () => work({})),
      bind: (work: (...args: unknown[]) => unknown) => AsyncLocalStorage.bind(work),
    }
    // It is asked for its class by name, and keeps it for all of the process.
    ;(Sequelize as unknown as { _cls: unknown })._cls = namespace
    try {
      const db = await open()
      const Item = itemOf(db)
      const routes = await whereAndWhy(() =>
        inRequest(() =>
          db.transaction(async () => {
            await Item.create({ name: 'within' })
            expect(await Item.count()).toBe(1)
          }),
        ),
      )
      expect(new Set(routes.slice(-2))).toEqual(new Set(['primary: transaction']))
    } finally {
      ;(Sequelize as unknown as { _cls: unknown })._cls = undefined
    }
  })

  it('replaces a client whose write has lost its backend, and tries that again where it is told to', async () => {
    const db = await open({ pool: { max: 1 }, retry: { match: [/terminating connection/], max: 2 } })
    await cluster.primary.query("insert into item (name) values ('lamp')")
    const writing = db.query(
      "update item set name = 'slow' where pg_sleep(case when name = 'lamp' then 2 end) is not null",
    )
    const pid = await running(cluster.primary, /pg_sleep/)
    await cluster.primary.query('select pg_terminate_backend($1)', [pid])
    await writing
    expect(await usePrimary(() => itemOf(db).count({ where: { name: 'slow' } }))).toBe(1)
  })

  it('goes on after every backend was terminated', async () => {
    const db = await open({ pool: { max: 1 } })
    const Item = itemOf(db)
    await inRequest(() => Item.count())
    for (const node of cluster.nodes) await terminateClients(node)
    expect(await inRequest(() => Item.count())).toBe(0)
    await Item.create({ name: 'lamp' })
  })

  it('says that the connection is refused where no server is', async () => {
    const nowhere = { host: '127.0.0.1', port: 1, user: 'a', database: 'b' }
    const db = await open({}, { primary: nowhere, replicas: [nowhere] })
    await expect(db.authenticate()).rejects.toBeInstanceOf(ConnectionRefusedError)
    await expect(inRequest(() => db.authenticate())).rejects.toBeInstanceOf(ConnectionRefusedError)
  })

  it('says what it says without us where the password is wrong', async () => {
    await cluster.primary.query("create role keeper login password 'right'")
    await cluster.waitForCatchup()
    for (const node of cluster.nodes) await askForPassword(node, 'keeper')
    const wrong = ({ connectionString }: { connectionString: string }) => {
      const url = new URL(connectionString)
      Object.assign(url, { username: 'keeper', password: 'wrong' })
      return url.href
    }
    const [primary, ...replicas] = cluster.nodes.map(wrong)
    const plain = new Sequelize(primary as string, { logging: false })
    const db = await open({}, { primary, replicas } as PoolOptions)
    const [theirs, ours] = (await Promise.all(
      [plain, db].map((each) => each.authenticate().catch((error: unknown) => error)),
    )) as Error[]
    expect(ours).toBeInstanceOf(ConnectionError)
    expect(ours).toMatchObject({ name: theirs?.name, message: theirs?.message })
    await plain.close()
  })
})
