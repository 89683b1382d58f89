import Fastify from 'fastify'
import { Kysely, sql } from 'kysely'
import pg from 'pg'
import { writePinning } from 'write-pinning/fastify'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'

/** @typedef {import('write-pinning/testing').PostgresCluster} Cluster */
/** @typedef {{ counter: { id: number, value: number } }} Database */
/** @typedef {'exact pin' | 'time pin' | 'no pin' | 'primary only'} Kind */

/** The number of rows. Each session has its own row. */
export const ROWS = 64

/** @param {Cluster} cluster */
export async function createTable(cluster) {
  await cluster.primary.query('create table counter (id int primary key, value int not null)')
  await cluster.primary.query(`insert into counter select i, 0 from generate_series(0, ${ROWS - 1}) as i`)
  await cluster.waitForCatchup()
}

/** One application on the cluster. It counts the questions that pins put to the servers. */
export class App {
  /** The number of position reads, how many ran at the same time at most, and the number of looks at replicas. */
  asked = { positions: 0, underWay: 0, mostAtOnce: 0, looks: 0 }
  /** The total time from the end of a handler until its response was sent, in ms. */
  sendingMs = 0
  #app = Fastify()
  #db
  #cluster

  /**
   * @param {Cluster} cluster
   * @param {Kind} kind
   */
  static async open(cluster, kind) {
    const app = new App(cluster, kind)
    await app.#serve(kind)
    return app
  }

  /**
   * @param {Cluster} cluster
   * @param {Kind} kind
   */
  constructor(cluster, kind) {
    this.#cluster = cluster
    const replicas = kind === 'primary only' ? [] : cluster.replicas
    /** @type {Kysely<Database>} */
    this.#db = new Kysely({
      dialect: new PrimaryReplicaDialect({
        primary: this.#pool(cluster.primary),
        replicas: replicas.map((node) => this.#pool(node)),
      }),
    })
  }

  /**
   * Reads a row. Gives its value, and whether a replica served it.
   *
   * @param {number} id
   * @param {string | undefined} cookie
   */
  async read(id, cookie) {
    const { body } = await this.#app.inject({ url: `/${id}`, headers: cookie ? { cookie } : {} })
    /** @type {{ value: number, port: number }} */
    const { value, port } = JSON.parse(body)
    return { value, isOnReplica: port !== this.#cluster.primary.port }
  }

  /**
   * Writes a row. Gives the cookie of the answer.
   *
   * @param {number} id
   * @param {number} value
   * @param {string | undefined} cookie
   */
  async write(id, value, cookie) {
    const url = `/${id}?value=${value}`
    const answer = await this.#app.inject({ method: 'POST', url, headers: cookie ? { cookie } : {} })
    if (answer.statusCode !== 200) throw new Error(answer.body)
    return String(answer.headers['set-cookie'] ?? '').split(';')[0] || undefined
  }

  async close() {
    await this.#app.close()
    await this.#db.destroy()
  }

  /** @param {Kind} kind */
  async #serve(kind) {
    const db = this.#db
    // `skip` turns pins off but keeps the context. Without a context, everything would go to the primary.
    const pinOptions = { skip: () => kind === 'no pin', pin: /** @type {const} */ ('time') }
    await this.#app.register(writePinning, kind === 'exact pin' ? { pin: 'exact' } : pinOptions)
    /** @type {WeakMap<object, number>} */
    const handledAt = new WeakMap()
    this.#app.addHook('preSerialization', async (request) => {
      handledAt.set(request, performance.now())
    })
    this.#app.addHook('onResponse', async (request) => {
      this.sendingMs += performance.now() - (handledAt.get(request) ?? 0)
    })
    this.#app.get('/:id', async (request) => {
      const { id } = /** @type {{ id: string }} */ (request.params)
      const { rows } =
        await sql`select value, inet_server_port() as port from counter where id = ${Number(id)}`.execute(db)
      return rows[0]
    })
    this.#app.post('/:id', async (request) => {
      const { id } = /** @type {{ id: string }} */ (request.params)
      const { value } = /** @type {{ value: string }} */ (request.query)
      await db
        .updateTable('counter')
        .set({ value: Number(value) })
        .where('id', '=', Number(id))
        .execute()
      return { done: true }
    })
    await this.#app.ready()
  }

  /** @param {import('write-pinning/testing').PostgresNode} node */
  #pool({ connectionString }) {
    const { asked } = this
    class CountingClient extends pg.Client {
      /** @param {pg.ClientConfig} config */
      constructor(config) {
        super(config)
        if (config.application_name !== 'write-pinning') return
        const query = /** @type {(...args: unknown[]) => any} */ (this.query.bind(this))
        this.query = /** @type {any} */ (
          (/** @type {unknown[]} */ ...args) =>
            count(asked, /** @type {{ text: string }} */ (args[0]).text, query(...args))
        )
      }
    }
    return new pg.Pool(/** @type {pg.PoolConfig} */ ({ connectionString, max: 32, Client: CountingClient }))
  }
}

/**
 * @param {App['asked']} asked
 * @param {string} sql
 * @param {Promise<unknown>} answer
 */
function count(asked, sql, answer) {
  // The watcher of the nodes also asks for positions. That is no part of this.
  if (sql.includes('isInRecovery')) return answer
  if (sql.includes('pg_last_wal_replay_lsn')) asked.looks++
  if (!sql.includes('pg_current_wal_insert_lsn')) return answer
  asked.positions++
  asked.underWay++
  asked.mostAtOnce = Math.max(asked.mostAtOnce, asked.underWay)
  const isOver = () => {
    asked.underWay--
  }
  answer.then(isOver, isOver)
  return answer
}
