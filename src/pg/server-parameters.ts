import type { Session } from '../nodes/session.ts'
import { askOn } from '../own-statements.ts'
import type { Query } from '../routing/query.ts'

/** A parameter's name and value, as a server reports them. */
export type ReportedParameter = readonly [name: string, value: string]

/**
 * Asks a server what it reports when a connection begins: its version, and how it reads strings. This is for a
 * library that listens for these on a client that has no connection yet.
 */
export class ServerParameters implements Query<ReportedParameter[]> {
  readonly text = TEXT
  readonly values = undefined
  readonly mark = undefined
  readonly signal = undefined
  readonly allowsQuestions = false
  readonly mayBeSentAgain = true
  readonly isOwn = true

  async send({ client }: Session): Promise<ReportedParameter[]> {
    const rows = await askOn<{ name: string; value: string }>(client as Parameters<typeof askOn>[0], TEXT)
    return rows.map(({ name, value }) => [name, value])
  }

  affectedBy(): undefined {
    return undefined
  }

  isEmpty(): boolean {
    return false
  }
}

const TEXT = `select name, pg_catalog.current_setting(name) as value
  from (values ('server_version'), ('standard_conforming_strings')) as parameter(name)`
