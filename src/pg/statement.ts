import type { QueryConfig, QueryResult } from 'pg'
import type { Session } from '../nodes/session.ts'
import type { Mark, Query } from '../routing/query.ts'
import { copyOfConfig } from './config-copy.ts'
import { markOf } from './marks.ts'
import { withoutTakenName } from './statement-names.ts'

/** The result that `pg` gives. Several statements in one text give several results. */
export type Results = QueryResult | QueryResult[]

/** What a client of `pg` wants for each query that sets nothing else. */
export interface QueryDefaults {
  /** Gives the type parsers. */
  readonly types?: unknown
  readonly query_timeout?: number
  readonly binary?: true
  /** Whether its sessions serve other clients between its queries. The others have their own names for statements. */
  readonly sharesSessions?: true
}

/** A text or a configuration, with or without values, as `pg` takes them. */
export class PgStatement implements Query<Results> {
  readonly #config: unknown
  #values: unknown
  /** What the sending client wants; undefined for what the clients of the node's pool do anyway. */
  readonly #defaults: QueryDefaults | undefined
  readonly text: string
  readonly mark: Mark | undefined
  signal: AbortSignal | undefined

  constructor(config: unknown, values: unknown, defaults?: QueryDefaults) {
    this.#config = typeof config === 'object' ? copyOfConfig(config as object) : config
    this.#values = values
    this.#defaults = defaults
    this.text = textOf(config)
    this.mark = markOf(config)
  }

  get values(): readonly unknown[] | undefined {
    const its = this.#values ?? (this.#config as { values?: unknown }).values
    return Array.isArray(its) ? its : undefined
  }

  keepValues(): void {
    this.#values = this.values?.slice() ?? this.#values
  }

  /** Keeps it from being sent, if it was not sent yet. */
  cancel(because: Error): void {
    this.signal = AbortSignal.abort(because)
  }

  get allowsQuestions(): boolean {
    return true
  }

  get mayBeSentAgain(): boolean {
    return true
  }

  send({ client }: Session): Promise<Results> {
    const config = this.#defaults === undefined ? this.#config : withDefaults(this.#config, this.#defaults)
    const isShared = this.#defaults?.sharesSessions === true
    return client.query(withoutTakenName(config, client, isShared), this.#values) as Promise<Results>
  }

  affectedBy(result: Results): number | undefined {
    if (Array.isArray(result)) return undefined
    return CHANGES.has(result.command) ? (result.rowCount ?? undefined) : undefined
  }

  isEmpty(result: Results): boolean {
    return !Array.isArray(result) && result.rows.length === 0
  }
}

const CHANGES: ReadonlySet<string> = new Set(['INSERT', 'UPDATE', 'DELETE', 'MERGE'])

/** The text that is sent. A prepared statement that is sent by its name alone may do anything. */
function textOf(config: unknown): string {
  if (typeof config === 'string') return config
  const { text, name } = config as { text?: unknown; name?: unknown }
  if (typeof text === 'string') return text
  return `execute "${String(name).replaceAll('"', '""')}"`
}

function withDefaults(config: unknown, { sharesSessions, ...defaults }: QueryDefaults): unknown {
  if (sharesSessions && Object.keys(defaults).length === 0) return config
  return typeof config === 'string'
    ? { ...defaults, text: config }
    : { ...defaults, ...(config as QueryConfig) }
}
