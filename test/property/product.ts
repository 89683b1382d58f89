import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { CompiledQuery, Kysely } from 'kysely'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { capturePin, markWrite, ROUTE_CHANNEL, type RouteEvent, runWithPin, usePrimary } from 'write-pinning'
import { PrimaryReplicaDialect } from 'write-pinning/kysely'
import { PrimaryReplicaPool } from 'write-pinning/pg'
import { readCursor, rowsAnswer, sendOver } from './answers.ts'
import { cleanSession } from './plain.ts'
import {
  type Answer,
  type ClientName,
  type Failure,
  failureOf,
  type Mode,
  type Served,
  type Step,
  type Unit,
} from './unit.ts'

/** The pools of the nodes; each has one connection, so that whoever comes next gets the session that the one before had. */
interface Nodes {
  readonly primary: pg.Pool
  readonly replica: pg.Pool
}

type Run = (step: Step) => Promise<Answer>

/** The package on one database, over both clients. */
export class Product {
  readonly #nodes: Readonly<Record<ClientName, Nodes>>
  readonly #kysely: Kysely<unknown>
  readonly #pool: PrimaryReplicaPool
  readonly #routes: RouteEvent[] = []
  readonly #onRoute = (event: unknown) => void this.#routes.push(event as RouteEvent)
  #token: { readonly text: string; readonly takenMs: number } | undefined

  /** Opens it, and resolves once a read of `harmless` is served by the replica: the catalog is known then. */
  static async open(primaryUrl: string, replicaUrl: string, harmless: string): Promise<Product> {
    const product = new Product(primaryUrl, replicaUrl)
    await product.#warm(harmless)
    return product
  }

  private constructor(primaryUrl: string, replicaUrl: string) {
    const pool = (connectionString: string, max: number) => {
      const made = new pg.Pool({ connectionString, max })
      made.on('error', () => {})
      return made
    }
    const nodes = () => ({ primary: pool(primaryUrl, 2), replica: pool(replicaUrl, 1) })
    this.#nodes = { kysely: nodes(), pool: nodes() }
    const options = ({ primary, replica }: Nodes) => ({ primary, replicas: [replica] })
    this.#kysely = new Kysely({
      dialect: new PrimaryReplicaDialect({ ...options(this.#nodes.kysely), cursor: Cursor, name: 'kysely' }),
    })
    this.#pool = new PrimaryReplicaPool({ ...options(this.#nodes.pool), name: 'pool' })
    this.#pool.on('error', () => {})
    subscribe(ROUTE_CHANNEL, this.#onRoute)
  }

  /** Runs a unit as a request of its own. */
  async run(unit: Unit): Promise<Served> {
    this.#routes.length = 0
    const answers: Answer[] = []
    let error: Failure | undefined
    const token = unit.mode === 'pinned' ? await this.#pin() : undefined
    const isCounted = await runWithPin(token, async () => {
      const brought = await capturePin()
      try {
        const work = async (run: Run) => {
          for (const step of unit.steps) answers.push(await run(step))
        }
        await (unit.client === 'kysely' ? this.#overKysely(unit.mode, work) : this.#overPool(unit.mode, work))
      } catch (thrown) {
        error = failureOf(thrown)
      }
      return (await capturePin()) !== brought
    })
    return { answers, error, isCounted, routes: [...this.#routes] }
  }

  /** What the next borrower of the replica's session finds there. */
  async leftOnReplica(client: ClientName): Promise<string> {
    const { rows } = await this.#nodes[client].replica.query<Record<string, string | null>>(LEFT)
    const left = Object.entries(rows[0] ?? {}).filter(([, value]) => value !== null && value !== '')
    return left.map(([what, value]) => `${what} ${value}`).join(', ')
  }

  /** Takes back what was left in the sessions of the nodes, as it is with plain `pg`. */
  async clean(client: ClientName): Promise<void> {
    const { primary, replica } = this.#nodes[client]
    const sessions = [primary, replica].flatMap((pool) =>
      Array.from({ length: pool.idleCount }, () => pool.connect()),
    )
    const clients = await Promise.all(sessions)
    await Promise.all(clients.map((each) => cleanSession(each).catch(() => {})))
    for (const each of clients) each.release()
  }

  async close(): Promise<void> {
    unsubscribe(ROUTE_CHANNEL, this.#onRoute)
    await Promise.all([this.#kysely.destroy(), this.#pool.end()])
  }

  async #warm(text: string): Promise<void> {
    const until = Date.now() + 20_000
    for (const client of ['kysely', 'pool'] as const) {
      for (;;) {
        const { routes } = await this.run({
          ...{ mode: 'auto', client, steps: [{ text }] },
          ...{ isHarmless: true, isOfSession: false, feature: 'warm' },
        })
        if (routes.at(-1)?.role === 'replica') break
        if (Date.now() > until) throw new Error(`No replica serves ${text}.`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    }
  }

  /** A pin that lasts for less than a new one would, so that a write shows in it. */
  async #pin(): Promise<string | undefined> {
    if (this.#token === undefined || Date.now() - this.#token.takenMs > 3_000) {
      const text = await runWithPin(undefined, () => {
        markWrite()
        return capturePin({ seconds: 8 })
      })
      this.#token = { text: text as string, takenMs: Date.now() }
    }
    return this.#token.text
  }

  #overKysely(mode: Mode, work: (run: Run) => Promise<void>): Promise<void> {
    const on =
      (db: Kysely<unknown>): Run =>
      async ({ text, values = [], via }) => {
        const query = CompiledQuery.raw(text, [...values]) as CompiledQuery<object>
        if (via !== 'cursor') return rowsAnswer((await db.executeQuery(query)).rows)
        const rows: object[] = []
        for await (const chunk of db.getExecutor().stream(query, 2)) rows.push(...chunk.rows)
        return rowsAnswer(rows)
      }
    const db = this.#kysely
    if (mode === 'transaction') return db.transaction().execute((trx) => work(on(trx)))
    if (mode === 'read-only') {
      return db
        .transaction()
        .setAccessMode('read only')
        .execute((trx) => work(on(trx)))
    }
    if (mode === 'connection') return db.connection().execute((one) => work(on(one)))
    if (mode === 'use-primary') return usePrimary(() => work(on(db)))
    return work(on(db))
  }

  async #overPool(mode: Mode, work: (run: Run) => Promise<void>): Promise<void> {
    if (mode === 'use-primary') return await usePrimary(() => work((step) => this.#sendByPool(step)))
    if (mode === 'auto' || mode === 'pinned') return await work((step) => this.#sendByPool(step))
    const client = await this.#pool.connect()
    let failed: unknown
    try {
      if (mode === 'transaction') await client.query('begin')
      if (mode === 'read-only') await client.query('begin read only')
      await work((step) => sendOver(client, step, 'pool'))
      if (mode !== 'connection') await client.query('commit')
    } catch (error) {
      failed = error
      if (mode !== 'connection') await client.query('rollback').catch(() => {})
      throw error
    } finally {
      client.release(failed !== undefined && mode === 'connection')
    }
  }

  async #sendByPool(step: Step): Promise<Answer> {
    if (step.via === undefined) return await sendOver(this.#pool as unknown as pg.ClientBase, step, 'pool')
    const client = await this.#pool.connect()
    try {
      if (step.via === 'cursor')
        return rowsAnswer(await readCursor(client, step.text, [...(step.values ?? [])]))
      return await sendOver(client, step, 'pool')
    } finally {
      client.release()
    }
  }
}

/** Settings that the schemas' functions make, locks, and what else stays in a session. Names like ours are pg's own. */
const LEFT = `select pg_catalog.current_setting('app.who', true) as "app.who",
  nullif(pg_catalog.current_setting('work_mem'), '4MB') as work_mem,
  (select pg_catalog.string_agg(objid::text, ' ') from pg_catalog.pg_locks where locktype = 'advisory' and pid = pg_catalog.pg_backend_pid()) as lock,
  (select pg_catalog.string_agg(name, ' ') from pg_catalog.pg_prepared_statement() where name !~ '^n[0-9a-z]+$') as prepared,
  (select pg_catalog.string_agg(name, ' ') from pg_catalog.pg_cursor() where name <> '') as cursor`
