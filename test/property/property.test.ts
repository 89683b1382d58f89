import { expect, test } from 'vitest'
import { useCluster } from '../support/shop.ts'
import { describeFault, describeReport, describeUnit } from './describe.ts'
import { runProperty } from './run.ts'

// Random schemas, random statements, and plain `pg` beside them: the same seed gives the same of both.
const number = (name: string, otherwise: number) => Number(process.env[name] ?? otherwise)
const plan = {
  seed: number('PROPERTY_SEED', Date.now() % 1_000_000),
  schemas: number('PROPERTY_SCHEMAS', 400),
  statements: number('PROPERTY_STATEMENTS', 100_000),
  ms: number('PROPERTY_SECONDS', 60) * 1000,
}

const { cluster } = useCluster({
  synchronous: true,
  settings: { autovacuum: false, max_connections: 100, checkpoint_timeout: '1h', max_wal_size: '8GB' },
})

test('what a statement does counts, and its answer is that of plain pg', {
  timeout: plan.ms + 120_000,
}, async () => {
  const report = await runProperty(cluster, plan)
  console.log(describeReport(plan.seed, report))
  for (const v of report.missed)
    console.log(
      'MISSED',
      v.unit.feature,
      '|',
      v.served.routes.map((r) => r.reason + (r.write ? '!' : '')).join(),
      '|',
      describeUnit(v.unit),
    )
  expect(report.found.map(describeFault)).toEqual([])
  expect(report.onReplica / report.harmless).toBeGreaterThanOrEqual(0.98)
})
