import type pg from 'pg'
import { sendOver } from './answers.ts'
import { type Answer, type Failure, failureOf, type Outcome, type Unit } from './unit.ts'

/** Runs a unit over one client of plain `pg`: what an application without the package would see. */
export async function runPlain(client: pg.ClientBase, unit: Unit): Promise<Outcome> {
  const answers: Answer[] = []
  let error: Failure | undefined
  const control = CONTROL[unit.mode]
  try {
    if (control !== undefined) await client.query(control)
    for (const step of unit.steps) answers.push(await sendOver(client, step, unit.client))
    if (control !== undefined) await client.query('commit')
  } catch (thrown) {
    error = failureOf(thrown)
  }
  if (error !== undefined || unit.mode === 'connection') await client.query('rollback')
  return { answers, error }
}

const CONTROL: { readonly [mode in Unit['mode']]?: string } = {
  transaction: 'begin',
  'read-only': 'begin read only',
}

/** Takes back what a unit has left in a session. */
export async function cleanSession(client: pg.ClientBase): Promise<void> {
  await client.query(CLEAN)
  // What is deallocated by a text `pg` takes to be there still, and the next use of that name would fail.
  const { connection } = client as unknown as { connection: { parsedStatements: object } }
  connection.parsedStatements = {}
}

const CLEAN = `select pg_catalog.pg_advisory_unlock_all(); reset all; deallocate all; close all; discard temp`
