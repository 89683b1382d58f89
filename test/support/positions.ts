import type { Position } from 'write-pinning'
import type { PostgresNode } from 'write-pinning/testing'
import { currentContext, requirementHere } from '../../src/freshness/context.ts'
import { type RequestMemory, rememberWrite } from '../../src/freshness/memory.ts'
import type { Requirement } from '../../src/freshness/requirement.ts'
import { parseLsn } from '../../src/lsn.ts'

/** The position that the primary has flushed now, as a dialect reads it after a commit. */
export async function positionOf(primary: PostgresNode): Promise<Position> {
  const [row] = await primary.query<{ system: string; wal: string; lsn: string }>(
    `select system_identifier::text as system, pg_walfile_name(lsn) as wal, lsn::text as lsn
     from pg_control_system(), pg_current_wal_flush_lsn() as lsn`,
  )
  const { system = '', wal = '', lsn = '' } = row ?? {}
  return { systemId: system, timeline: Number.parseInt(wal.slice(0, 8), 16), lsn: parseLsn(lsn) ?? 0n }
}

/** The memory of the current request. */
export function memoryHere(): RequestMemory {
  const memory = currentContext()?.memory
  if (memory === undefined) throw new Error('This runs in no request.')
  return memory
}

/** Notes a committed write in the request, as a dialect does. */
export function wroteTo(cluster: string, position?: Promise<Position | undefined>): void {
  rememberWrite(memoryHere(), cluster, position)
}

/** The requirement of a read here. */
export function demandIn(cluster = 'default'): Requirement | undefined {
  return requirementHere(currentContext(), cluster)
}
