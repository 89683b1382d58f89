import { type IncomingMessage, request as requestHttp, Agent as SocketPool } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { type Kysely, sql } from 'kysely'
import { CookieJar } from 'tough-cookie'
import type { PostgresCluster, PostgresNode } from 'write-pinning/testing'
import { randomNumbers } from '../pinning/pins.ts'
import type { Database } from './cluster.ts'

/** The results of many reads of a number that only grows. */
export interface GuaranteesReport {
  /** Reads that were answered. */
  reads: number
  /** Requests that failed. Writes fail while the primary is down. */
  failed: number
  /** Reads that gave less than their user agent had seen or written before, each with what happened. */
  readonly violations: string[]
  /** The faults that were made, by kind. */
  readonly faults: Record<string, number>
}

/** The ways in which the application reads the number. Each gives the numbers that it read, in order. */
export const READERS: Record<string, (db: Kysely<Database>) => Promise<number[]>> = {
  one: async (db) => [await numberOf(db)],
  three: async (db) => [await numberOf(db), await numberOf(db), await numberOf(db)],
  stream: async (db) => {
    const read: number[] = []
    // Leaves the stream at its first row. A read inside the loop would wait for a connection while this holds one.
    for await (const { n } of db.selectFrom(TICKS).select('n').stream()) {
      read.push(n)
      break
    }
    return [...read, await numberOf(db)]
  },
  transaction: async (db) => {
    const read = await db.transaction().setAccessMode('read only').execute(numberOf)
    return [read, await numberOf(db)]
  },
}

const TICKS = sql<{ n: number }>`tick`.as<'tick'>(sql`tick`)

async function numberOf(db: Kysely<Database>): Promise<number> {
  return (await db.selectFrom(TICKS).select('n').executeTakeFirstOrThrow()).n
}

/** Adds one to the number, and gives it. */
export async function tick(db: Kysely<Database>): Promise<number> {
  const { rows } = await sql<{ n: number }>`update tick set n = n + 1 returning n`.execute(db)
  return rows[0]?.n ?? -1
}

/**
 * Lets user agents read and write, each one request after the other, until this many reads are answered. Meanwhile it
 * pauses, freezes and kills replicas, terminates connections, and replaces user agents by new ones.
 */
export async function checkGuarantees(parts: {
  readonly cluster: PostgresCluster
  /** The address of the application: `GET /<reader>` and `POST /tick`. */
  readonly origin: string
  readonly reads: number
  readonly seed: number
}): Promise<GuaranteesReport> {
  const { cluster, origin, reads, seed } = parts
  const random = randomNumbers(seed)
  const report: GuaranteesReport = { reads: 0, failed: 0, violations: [], faults: {} }
  const sockets = new SocketPool({ keepAlive: true, maxSockets: AGENTS })
  const isOver = () => report.reads >= reads
  const beAgent = async (name: string) => {
    const jar = new CookieJar()
    let seen = 0
    for (let left = Math.ceil(random() * MAX_REQUESTS); left > 0 && !isOver(); left--) {
      const path = random() < WRITES ? 'tick' : (Object.keys(READERS)[Math.floor(random() * 4)] as string)
      const numbers = await send(jar, new URL(path, origin), sockets)
      if (numbers === undefined) report.failed++
      for (const n of numbers ?? []) {
        report.reads++
        if (n < seen) report.violations.push(`${name}: ${path} gave ${numbers} after ${seen}`)
        seen = Math.max(seen, n)
      }
    }
  }
  const agents = Array.from({ length: AGENTS }, async (_, number) => {
    while (!isOver()) await beAgent(`agent ${number}`)
  })
  try {
    await Promise.all([...agents, makeFaults(cluster, random, isOver, report.faults)])
  } finally {
    sockets.destroy()
  }
  return report
}

const AGENTS = 24
const MAX_REQUESTS = 60
const WRITES = 0.05

async function send(jar: CookieJar, url: URL, agent: SocketPool): Promise<number[] | undefined> {
  const method = url.pathname === '/tick' ? 'POST' : 'GET'
  const cookie = await jar.getCookieString(url.href)
  const headers = { ...(cookie !== '' && { cookie }), 'content-length': 0 }
  const response = await new Promise<IncomingMessage | undefined>((resolve) => {
    const sent = requestHttp(url, { method, headers, agent }, resolve)
    sent.on('error', () => resolve(undefined))
    sent.end()
  })
  if (response === undefined) return undefined
  let body = ''
  for await (const piece of response.setEncoding('utf8')) body += piece
  for (const each of response.headers['set-cookie'] ?? []) await jar.setCookie(each, url.href)
  return response.statusCode === 200 ? JSON.parse(body) : undefined
}

/** Makes one fault after the other. Each ends before the next begins. */
async function makeFaults(
  cluster: PostgresCluster,
  random: () => number,
  isOver: () => boolean,
  made: Record<string, number>,
): Promise<void> {
  for (let turn = 0; !isOver(); turn++) {
    const kinds = Object.keys(FAULTS)
    const kind = kinds[turn % kinds.length] as string
    const replica = cluster.replicas[Math.floor(random() * cluster.replicas.length)] as PostgresNode
    made[kind] = (made[kind] ?? 0) + 1
    await FAULTS[kind]?.(replica, cluster, 100 + random() * 900)
    await wait(random() * 300)
  }
}

const FAULTS: Record<
  string,
  (replica: PostgresNode, cluster: PostgresCluster, forMs: number) => Promise<unknown>
> = {
  'replay paused': async (replica, _cluster, forMs) => {
    await replica.pauseReplay()
    await wait(forMs)
    await replica.resumeReplay()
  },
  frozen: async (replica, _cluster, forMs) => {
    await replica.freeze()
    await wait(forMs)
    await replica.thaw()
  },
  crashed: async (replica, _cluster, forMs) => {
    await replica.pauseReplay()
    await wait(forMs)
    await replica.kill()
    await replica.start()
  },
  'connections terminated': async (replica, { primary }) => {
    for (const node of [replica, primary]) {
      await node.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()",
      )
    }
  },
  'primary crashed': async (_replica, { primary }, forMs) => {
    await primary.kill()
    await wait(forMs)
    await primary.start()
  },
}
