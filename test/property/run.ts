import type { PostgresCluster } from 'write-pinning/testing'
import { Random } from '../sql/random.ts'
import { type Fault, Judge, type Verdict } from './judge.ts'
import { makeSchema } from './schema.ts'
import { makeUnit } from './statements.ts'
import { Twins } from './twins.ts'

export interface Plan {
  readonly seed: number
  readonly schemas: number
  /** How many schemas are left out before those: for one that was found. */
  readonly after?: number
  /** How many statements, over all schemas. */
  readonly statements: number
  /** After how many ms no more statement begins. */
  readonly ms: number
  readonly onFault?: (found: FoundFault) => void
}

export interface FoundFault {
  readonly schemaSeed: number
  readonly verdict: Verdict
}

/** What a run has found. */
export interface Report {
  schemas: number
  statements: number
  readonly ms: number
  readonly faults: Record<Fault, number>
  /** Harmless reads outside of what belongs to the primary, and how many of them a replica served. */
  harmless: number
  onReplica: number
  /** Harmless reads that count as writes. */
  harmlessPinned: number
  /** What has changed nothing, and counts as a write. */
  pinnedForNothing: number
  /** What has changed something. */
  effects: number
  /** What plain `pg` refused, too. */
  failing: number
  readonly found: FoundFault[]
  /** Harmless reads that the primary served, by what is in them. */
  readonly missed: Verdict[]
  readonly refused: string[]
}

/** Runs random statements over random schemas, and counts what is wrong. The same plan makes the same statements. */
export async function runProperty(cluster: PostgresCluster, plan: Plan): Promise<Report> {
  const startedMs = Date.now()
  const report = emptyReport()
  const perSchema = Math.ceil(plan.statements / plan.schemas)
  const isOver = () => Date.now() - startedMs > plan.ms
  for (let index = 0; index < plan.schemas && !isOver(); index++) {
    const schemaSeed = plan.seed * 10_000 + (plan.after ?? 0) + index
    const schema = makeSchema(schemaSeed)
    await using twins = await Twins.make(cluster, schema, `property_${index}`)
    report.refused.push(...twins.refused)
    report.schemas++
    const judge = await Judge.on(twins)
    const random = new Random(schemaSeed ^ 0x5eed)
    for (let count = 0; count < perSchema && !isOver(); count++) {
      const verdict = await judge.judge(makeUnit(random, schema))
      note(report, verdict)
      for (const _ of verdict.faults.slice(0, 1)) {
        const found = { schemaSeed, verdict }
        report.found.push(found)
        plan.onFault?.(found)
      }
    }
  }
  return { ...report, ms: Date.now() - startedMs }
}

function note(report: Report, verdict: Verdict): void {
  const { unit, faults, changed, plain, served, share } = verdict
  report.statements += unit.steps.length
  for (const fault of faults) report.faults[fault]++
  if (changed.length > 0) report.effects++
  if (plain.error !== undefined) report.failing++
  if (changed.length === 0 && served.isCounted && served.error === undefined) report.pinnedForNothing++
  if (share === undefined) return
  report.harmless++
  if (share === 'on replica') report.onReplica++
  else report.missed.push(verdict)
  if (served.isCounted) report.harmlessPinned++
}

function emptyReport(): Report {
  const faults = Object.fromEntries(
    ['uncounted', 'another answer', 'failure', 'another error', 'success', 'another effect', 'left'].map(
      (fault) => [fault, 0],
    ),
  ) as Record<Fault, number>
  return {
    ...{ schemas: 0, statements: 0, ms: 0, faults, harmless: 0, onReplica: 0, harmlessPinned: 0 },
    ...{ pinnedForNothing: 0, effects: 0, failing: 0, found: [], missed: [], refused: [] },
  }
}
