import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { type PostgresCluster, startPostgresCluster } from 'write-pinning/testing'
import type { CompiledBlocks, Page } from './compile-blocks.ts'

const LONGEST_RUN_MS = 20_000

/** Runs the blocks of pages, two pages at a time, each page on a database of its own. */
export class RunOfPages {
  readonly #compiled: CompiledBlocks
  readonly #clusters = [startCluster(), startCluster()]
  readonly #turns: Promise<unknown>[] = this.#clusters.map(() => Promise.resolve())
  #pages = 0

  constructor(compiled: CompiledBlocks) {
    this.#compiled = compiled
  }

  /** Runs the blocks that are marked so, in their order; gives what was wrong. */
  run({ page, blocks }: Page): Promise<string[]> {
    const number = this.#pages++
    const place = number % this.#clusters.length
    const ended = Promise.resolve(this.#turns[place])
      .then(() => this.#clusters[place]?.())
      .then((cluster) => this.#runOn(cluster as PostgresCluster, `page_${number}`, { page, blocks }))
    this.#turns[place] = ended.catch(() => {})
    return ended
  }

  async #runOn(cluster: PostgresCluster, database: string, { page, blocks }: Page): Promise<string[]> {
    await cluster.primary.query(`create database ${database}`)
    const [primary, replica] = cluster.nodes.map((node) => inDatabase(node.connectionString, database))
    const environment = {
      ...process.env,
      DATABASE_URL: primary,
      DATABASE_REPLICA_URL: replica,
      PIN_SECRET: randomBytes(32).toString('hex'),
      NODE_OPTIONS: '',
    }
    const faults: string[] = []
    for (const [index, block] of blocks.entries()) {
      if (!block.words.includes('run')) continue
      const at = `${page}:${block.line}`
      if (block.language === 'sql') {
        await runSql(primary as string, block.text).catch((error) => faults.push(`${at}: ${error}`))
        continue
      }
      await cluster.waitForCatchup()
      const { code, stdout, stderr } = await runFile(this.#compiled.fileOf(block), environment)
      if (code !== 0 || stderr !== '') faults.push(`${at}: it ended with ${code}\n${stdout}${stderr}`)
      const next = blocks[index + 1]
      if (next?.words.includes('output') && !isOutput(stdout, next.text)) {
        faults.push(`${page}:${next.line}: it printed something else:\n${stdout}`)
      }
    }
    // A page may have paused it, and failed before it let it go on.
    await cluster.replicas[0]?.query('select pg_wal_replay_resume()')
    return faults
  }

  async end(): Promise<void> {
    await Promise.all(this.#turns)
    for (const cluster of this.#clusters) if (cluster.isStarted()) await (await cluster()).stop()
  }
}

/** Starts a cluster when it is first asked for. */
function startCluster() {
  let cluster: Promise<PostgresCluster> | undefined
  const started = () => {
    cluster ??= startPostgresCluster({ replicas: 1 })
    return cluster
  }
  return Object.assign(started, { isStarted: () => cluster !== undefined })
}

function inDatabase(connectionString: string, database: string): string {
  const url = new URL(connectionString)
  url.pathname = `/${database}`
  return url.href
}

async function runSql(connectionString: string, text: string): Promise<void> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    await client.query(text)
  } finally {
    await client.end()
  }
}

interface Ended {
  code: number | string
  stdout: string
  stderr: string
}

function runFile(file: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  return new Promise((resolve) => {
    execFile(process.execPath, [file], { env, timeout: LONGEST_RUN_MS }, (error, stdout, stderr) => {
      const code = error === null ? 0 : (error.code ?? `${error.signal}, after ${LONGEST_RUN_MS / 1000} s`)
      resolve({ code, stdout, stderr })
    })
  })
}

/** Where the page says `…`, anything may stand in that line. */
function isOutput(printed: string, expected: string): boolean {
  const pattern = expected
    .trimEnd()
    .split('…')
    .map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
    .join('.*')
  return new RegExp(`^${pattern}$`).test(printed.trimEnd())
}
