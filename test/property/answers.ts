import { text as textOf } from 'node:stream/consumers'
import type pg from 'pg'
import { to } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import type { Answer, ClientName, Step } from './unit.ts'

type Results = pg.QueryResult | pg.QueryResult[]

/** Sends a step over a client of `pg`'s, in the form that it asks for, and gives the answer as the client library would. */
export async function sendOver(client: pg.ClientBase, step: Step, as: ClientName): Promise<Answer> {
  const values = [...(step.values ?? [])]
  if (step.via === 'cursor') return rowsAnswer(await readCursor(client, step.text, values))
  if (as === 'pool' && step.via === 'copy') return await textOf(client.query(to(step.text)))
  const name = as === 'pool' && step.via === 'named' ? { name: nameOf(step.text) } : {}
  const results = await (values.length > 0 || 'name' in name
    ? client.query({ ...name, text: step.text, values })
    : client.query(step.text))
  return as === 'kysely' ? kyselyAnswer(results) : poolAnswer(results)
}

/** What a pool hands out: every result, with its command and count. */
export function poolAnswer(results: Results): Answer {
  return JSON.stringify(
    [results].flat().map(({ command, rowCount, rows }) => [command, rowCount, entries(rows)]),
  )
}

/** What Kysely hands out: the rows of one result, and none of several. */
export function kyselyAnswer(results: Results): Answer {
  return rowsAnswer(Array.isArray(results) ? [] : results.rows)
}

export function rowsAnswer(rows: readonly object[] | undefined): Answer {
  return JSON.stringify(entries(rows ?? []))
}

export async function readCursor(client: pg.ClientBase, text: string, values: unknown[]): Promise<object[]> {
  const cursor = client.query(new Cursor(text, values))
  try {
    const rows: object[] = []
    for (;;) {
      const some = await cursor.read(2)
      rows.push(...some)
      if (some.length < 2) return rows
    }
  } finally {
    await cursor.close().catch(() => {})
  }
}

/** A name for a prepared statement: the same for the same text. */
export function nameOf(text: string): string {
  let hash = 0
  for (const character of text) hash = (Math.imul(hash, 31) + character.charCodeAt(0)) | 0
  return `n${(hash >>> 0).toString(36)}`
}

/** Plans hang on how large the tables of each twin have grown: they are not compared. */
function entries(rows: readonly object[]): unknown[] {
  if (rows.some((row) => 'QUERY PLAN' in row)) return ['a plan']
  return rows.map((row) => Object.entries(row)).filter((row) => !isTag(row))
}

/** Kysely 0.29 has a row for the end of a transaction, which the server does not send. */
function isTag([first, ...others]: readonly [string, unknown][]): boolean {
  const [name, value] = first ?? []
  return name === 'command' && (value === 'ROLLBACK' || value === 'COMMIT') && others.length === 0
}
