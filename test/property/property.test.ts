import { expect, test } from 'vitest'
import { useCluster } from '../support/shop.ts'
import { describeFault, describeReport, describeShrunk, describeUnit } from './describe.ts'
import { type FoundFault, runProperty } from './run.ts'
import { shrink } from './shrink.ts'

// Random schemas, random statements, and plain `pg` beside them: the same seed gives the same of both.
const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)
const plan = {
  seed: number('PROPERTY_SEED', Date.now() % 1_000_000),
  schemas: number('PROPERTY_SCHEMAS', 400),
  after: number('PROPERTY_AFTER', 0),
  statements: number('PROPERTY_STATEMENTS', 100_000),
  ms: number('PROPERTY_SECONDS', 60) * 1000,
}

const { cluster } = useCluster({
  synchronous: true,
  settings: { autovacuum: false, max_connections: 100, checkpoint_timeout: '1h', max_wal_size: '8GB' },
})

/** How many faults are shrunk to what they take: that takes a while for each, and is for runs by hand. */
const shrunk = number('PROPERTY_SHRINK', 0)

test('what a statement does counts, and its answer is that of plain pg', {
  timeout: plan.ms + 120_000 + shrunk * 600_000,
}, async () => {
  const report = await runProperty(cluster, plan)
  console.log(describeReport(plan.seed, report))
  for (const found of differing(report.found).slice(0, shrunk)) {
    console.log(describeShrunk(found, await shrink(cluster, found)))
  }
  expect(report.found.map(describeFault)).toEqual([])
  const elsewhere = report.missed.map(({ unit }) => describeUnit(unit))
  // In a minute there are few schemas, and one of them may have an operator that is used wherever anything is.
  const least = report.schemas < 100 ? 0.95 : 0.98
  expect(report.onReplica / report.harmless, elsewhere.join('\n')).toBeGreaterThanOrEqual(least)
})

/** One fault of each kind, mode and way to hide a call. */
function differing(found: readonly FoundFault[]): FoundFault[] {
  const kinds = found.map((each): [string, FoundFault] => {
    const { unit, faults } = each.verdict
    return [`${faults} ${unit.mode} ${unit.feature.split(' in ')[0]}`, each]
  })
  return [...new Map(kinds).values()]
}
