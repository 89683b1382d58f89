import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { type PostgresCluster, startPostgresCluster } from 'write-pinning/testing'
import type { CompiledPage } from './compile-blocks.ts'
import type { Block } from './pages.ts'

const LONGEST_RUN_MS = 20_000

/** Runs the blocks of pages on one cluster, which starts with the first of them; each page has a database of its own. */
export class RunOfPages {
  #cluster: Promise<PostgresCluster> | undefined
  #databases = 0

  /** Runs the blocks that are marked so, in their order; gives what was wrong. */
  async run(page: string, blocks: readonly Block[], compiled: CompiledPage): Promise<string[]> {
    this.#cluster ??= startPostgresCluster({ replicas: 1 })
    const cluster = await this.#cluster
    this.#databases += 1
    const database = `page_${this.#databases}`
    await cluster.primary.query(`create database ${database}`)
    const primary = inDatabase(cluster.primary.connectionString, database)
    const environment = {
      ...process.env,
      DATABASE_URL: primary,
      DATABASE_REPLICA_URL: inDatabase(cluster.replicas[0]?.connectionString as string, database),
      PIN_SECRET: randomBytes(32).toString('hex'),
      NODE_OPTIONS: '',
    }
    const faults: string[] = []
    for (const [index, block] of blocks.entries()) {
      if (!block.words.includes('run')) continue
      const at = `${page}:${block.line}`
      if (block.language === 'sql') {
        await runSql(primary, block.text).catch((error) => faults.push(`${at}: ${error}`))
        continue
      }
      await cluster.waitForCatchup()
      const { code, stdout, stderr } = await runFile(compiled.fileOf(block), environment)
      if (code !== 0 || stderr !== '') faults.push(`${at}: it ended with ${code}\n${stdout}${stderr}`)
      const next = blocks[index + 1]
      if (next?.words.includes('output') && !isOutput(stdout, next.text)) {
        faults.push(`${page}:${next.line}: it printed something else:\n${stdout}`)
      }
    }
    return faults
  }

  async end(): Promise<void> {
    await (await this.#cluster)?.stop()
  }
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
