import type { FoundFault, Report } from './run.ts'
import type { ShrunkFault } from './shrink.ts'
import type { Unit } from './unit.ts'

export function describeReport(seed: number, report: Report): string {
  const { schemas, statements, ms, faults, harmless, onReplica, harmlessPinned } = report
  const percent = (part: number) => `${((100 * part) / Math.max(1, harmless)).toFixed(2)} %`
  return [
    `PROPERTY_SEED=${seed}: ${statements} statements over ${schemas} schemas in ${Math.round(ms / 1000)} s`,
    `faults: ${JSON.stringify(faults)}`,
    `harmless reads: ${harmless}, on replicas ${percent(onReplica)}, pinned ${percent(harmlessPinned)}`,
    `with an effect: ${report.effects}; counted without one: ${report.pinnedForNothing}; refused by plain pg: ${report.failing}; DDL refused: ${report.refused.length}`,
  ].join('\n')
}

/** A fault in some lines: the unit, what the package did, and what plain `pg` gave. */
export function describeFault({ schemaSeed, verdict }: FoundFault): string {
  const { unit, faults, changed, left, plain, served } = verdict
  const routes = served.routes.map(({ node, reason }) => `${node}: ${reason}`).join(', ')
  return [
    `${faults.join(', ')}: ${unit.feature} (schema ${schemaSeed})`,
    `  ${describeUnit(unit)}`,
    `  ${routes}; counted: ${served.isCounted}; changed: ${changed.join(', ') || 'nothing'}${left === '' ? '' : `; left: ${left}`}`,
    `  it gave ${describeOutcome(served)}`,
    `  plain pg gave ${describeOutcome(plain)}`,
  ].join('\n')
}

/** A fault with the statements of its schema that it takes. */
export function describeShrunk(found: FoundFault, shrunk: ShrunkFault | undefined): string {
  if (shrunk === undefined) return `It takes what ran before:\n${describeFault(found)}`
  const verdict = { ...found.verdict, unit: shrunk.unit }
  return [...shrunk.statements.map((each) => `  ${each};`), describeFault({ ...found, verdict })].join('\n')
}

export function describeUnit({ mode, client, steps }: Unit): string {
  const texts = steps.map(
    ({ text, values, via }) =>
      `${via === undefined ? '' : `(${via}) `}${text}${values ? ` ${JSON.stringify(values)}` : ''}`,
  )
  return `[${mode}, ${client}] ${texts.join(' ⏵ ')}`
}

function describeOutcome({
  answers,
  error,
}: {
  answers: readonly string[]
  error: { code?: string | undefined; message: string } | undefined
}): string {
  const all = answers.join(' ⏵ ').slice(0, 200)
  return error === undefined ? all : `${all} ${error.code} ${error.message}`
}
