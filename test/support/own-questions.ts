import pg from 'pg'
import type { Target } from './proxy-link.ts'

/** The questions that the package asks a node over connections of its own, beside the application's statements. */
export interface OwnQuestions {
  readonly pool: pg.Pool
  /**
   * How often a primary was asked how far its commits go, or a replica how far it has replayed. A watcher's questions
   * do not count.
   */
  positions: number
  /** How many of those ran at the same time at most. */
  mostAtOnce: number
}

/** A pool that counts those questions. They may take another way to the server than the application's statements. */
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

/** A statement from the arguments of `query()`, in any form. */
export function askedBy(args: readonly unknown[]): Asked {
  const [statement, values] = args as [string | Asked, readonly unknown[] | undefined]
  return typeof statement === 'string' ? { text: statement, values } : statement
}

interface Asked {
  readonly text: string
  readonly values?: readonly unknown[] | undefined
}

// The watcher's question has `isInRecovery` in it.
function isOfPositions(sql: string): boolean {
  return /pg_current_wal|pg_last_wal/.test(sql) && !sql.includes('isInRecovery')
}
