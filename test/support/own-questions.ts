import pg from 'pg'
import type { Target } from './proxy-link.ts'

/** What the package asks a node, beside the application's statements, over connections of its own. */
export interface OwnQuestions {
  readonly pool: pg.Pool
  /** How often a primary was asked how far its commits go, or a replica how far it has replayed; a watcher's do not count. */
  positions: number
  /** How many of those were under way at a time at most. */
  mostAtOnce: number
}

/** A pool whose own questions are counted, and may take another way to the server than the application's statements. */
export function poolThatCounts(node: Target, via: Target = node): OwnQuestions {
  let underWay = 0
  const asked = { positions: 0, mostAtOnce: 0 }
  const count = async (answer: Promise<unknown>) => {
    asked.positions++
    underWay++
    asked.mostAtOnce = Math.max(asked.mostAtOnce, underWay)
    await answer.catch(() => {})
    underWay--
  }
  class CountingClient extends pg.Client {
    constructor(config: pg.ClientConfig = {}) {
      const isOwn = config.application_name === 'write-pinning'
      super(isOwn ? { ...config, host: via.host, port: via.port } : config)
      const query = this.query.bind(this) as (...args: unknown[]) => unknown
      const counting = (...args: unknown[]) => {
        const answer = query(...args)
        if (isOwn && isOfPositions(askedBy(args).text)) void count(answer as Promise<unknown>)
        return answer
      }
      if (isOwn) this.query = counting as typeof this.query
    }
  }
  const { host, port } = node
  const config = { host, port, user: 'postgres', database: 'test', max: 40, Client: CountingClient }
  return Object.assign(asked, { pool: new pg.Pool(config as pg.PoolConfig) })
}

/** A statement as a client is given it, in whichever form. */
export function askedBy(args: readonly unknown[]): Asked {
  const [statement, values] = args as [string | Asked, readonly unknown[] | undefined]
  return typeof statement === 'string' ? { text: statement, values } : statement
}

interface Asked {
  readonly text: string
  readonly values?: readonly unknown[] | undefined
}

// A watcher asks for more, and what it asks has this in it.
function isOfPositions(sql: string): boolean {
  return /pg_current_wal|pg_last_wal/.test(sql) && !sql.includes('isInRecovery')
}
